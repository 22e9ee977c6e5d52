"""Behind nginx with TLS, at the top and below a path, configured as docs/running.md says."""

from __future__ import annotations

import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urljoin

import httpx
import pytest

from tests.api.live import LOAD, Live, live

NGINX = shutil.which("nginx")
OPENSSL = shutil.which("openssl")
PAGE = Path(__file__).parents[2] / "docs" / "running.md"

pytestmark = [
    pytest.mark.processes,
    pytest.mark.skipif(NGINX is None or OPENSSL is None, reason="nginx or openssl is not installed"),
]


@pytest.fixture(scope="module")
def certificate(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A certificate for 127.0.0.1 that has signed itself, and its key beside it."""
    path = tmp_path_factory.mktemp("tls") / "certificate.pem"
    key = [
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:prime256v1",
        "-nodes",
        "-keyout",
        str(path.with_suffix(".key")),
    ]
    names = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"]
    subprocess.run([str(OPENSSL), "req", "-x509", *key, *names, "-out", str(path)], check=True, capture_output=True)
    return path


@pytest.fixture(scope="module")
def top(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    with live(tmp_path_factory.mktemp("top"), ktrdr_trusted_proxies="127.0.0.1") as server:
        yield server


@pytest.fixture(scope="module")
def below(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Live]:
    home = tmp_path_factory.mktemp("below")
    with live(home, ktrdr_trusted_proxies="127.0.0.1", ktrdr_root_path="/ktrdr") as server:
        yield server


@pytest.fixture(scope="module")
def proxy(
    top: Live, below: Live, certificate: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[httpx.Client]:
    folder = tmp_path_factory.mktemp("nginx")
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    locations = [_location("/", top.url), _location("/ktrdr/", below.url)]
    (folder / "nginx.conf").write_text(_configuration(folder, port, certificate, locations), encoding="utf-8")
    command = [str(NGINX), "-p", f"{folder}/", "-e", "error.log", "-c", "nginx.conf"]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL)
    trusted = ssl.create_default_context(cafile=str(certificate))
    with httpx.Client(base_url=f"https://127.0.0.1:{port}", verify=trusted, trust_env=False, timeout=70) as client:
        try:
            _wait_for(client, folder / "error.log")
            yield client
        finally:
            process.terminate()
            process.wait(10)


def _location(path: str, url: str) -> str:
    """The block of the documentation, for another path and another server."""
    documented = re.search(r"```nginx\n(location .*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    assert documented
    block = documented[1].replace("location /ktrdr/", f"location {path}")
    assert "http://127.0.0.1:8000" in block
    return block.replace("http://127.0.0.1:8000", url)


def _configuration(folder: Path, port: int, certificate: Path, locations: list[str]) -> str:
    kinds = ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
    return "\n".join(
        [
            f"daemon off; pid {folder}/nginx.pid; worker_processes 1; events {{}}",
            "http {",
            "access_log off;",
            *(f"{kind}_temp_path {folder}/{kind};" for kind in kinds),
            f"server {{ listen 127.0.0.1:{port} ssl;",
            f"ssl_certificate {certificate}; ssl_certificate_key {certificate.with_suffix('.key')};",
            *locations,
            "} }",
        ]
    )


def _wait_for(client: httpx.Client, log: Path) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        try:
            client.get("/api/v1/health")
        except httpx.ConnectError:
            time.sleep(0.02)
        else:
            return
    raise AssertionError(log.read_text(encoding="utf-8"))


@pytest.mark.parametrize("root", ["", "/ktrdr"])
@pytest.mark.parametrize("path", ["/", "/docs"])
def test_pages_and_all_that_they_name_come_through(proxy: httpx.Client, root: str, path: str) -> None:
    page = proxy.get(root + path)

    named = re.findall(r'(?:src|href)="([^"#]+)"', page.text)
    assert len(named) >= 4
    for name in named:
        answer = proxy.get(urljoin(str(page.url), name))
        assert (answer.status_code, answer.url.path.startswith(f"{root}/")) == (200, True), name


@pytest.mark.parametrize("root", ["", "/ktrdr"])
def test_an_operation_is_started_from_the_own_page_and_found(proxy: httpx.Client, root: str) -> None:
    own = str(proxy.base_url).rstrip("/")

    started = proxy.post(f"{root}/api/v1/data/load", json=LOAD, headers={"origin": own})

    assert started.status_code == 202, started.text
    assert started.headers["location"].startswith(f"{root}/api/v1/operations/")
    ended = proxy.get(started.headers["location"], params={"wait": 30}).json()
    assert ended["status"] == "COMPLETED"
    for origin in ("https://evil.example", "null"):
        refused = proxy.post(f"{root}/api/v1/data/load", json=LOAD, headers={"origin": origin})
        assert (refused.status_code, refused.json()["code"]) == (403, "foreign_origin")


@pytest.mark.parametrize("root", ["", "/ktrdr"])
def test_redirects_stay_on_the_proxy_and_its_scheme(proxy: httpx.Client, root: str) -> None:
    own = str(proxy.base_url).rstrip("/")
    assert proxy.get(f"{root}/docs/").headers["location"] == f"{own}{root}/docs"
    assert proxy.get("/ktrdr").headers["location"].endswith("/ktrdr/")


def test_a_body_larger_than_nginx_takes_by_itself_comes_through(proxy: httpx.Client) -> None:
    rows = "".join(f"2024-01-{day:02d},10,11,9,10.5,100{' ' * 200_000}\n" for day in range(2, 12))
    content = f"timestamp,open,high,low,close,volume\n{rows}".encode()
    assert len(content) > 1024**2

    started = proxy.post("/ktrdr/api/v1/data/ACME/1d/import", params={"filename": "acme.csv"}, content=content)

    assert started.status_code == 202, started.text


def test_headers_of_others_than_the_proxy_are_not_believed(top: Live, tmp_path: Path) -> None:
    forwarded = {"x-forwarded-proto": "https"}
    with live(tmp_path) as alone:
        location = alone.http.get("/docs/", headers=forwarded).headers["location"]
        assert location == f"{alone.url}/docs"
    assert top.http.get("/docs/", headers=forwarded).headers["location"].startswith("https:")
