# syntax=docker/dockerfile:1

FROM python:3.11-slim AS build

# The index for PyTorch alone. The default has its CPU build; with an empty value PyTorch comes from where all else does,
# and on Linux PyPI's wheels bring CUDA along, several gigabytes of it.
ARG TORCH_INDEX_URL=https://download.pytorch.org/whl/cpu
# Any of pip's indexes for everything else; PyPI when it is not given.
ARG PIP_INDEX_URL

WORKDIR /src
RUN python -m venv /opt/ktrdr
ENV PATH=/opt/ktrdr/bin:$PATH PIP_NO_CACHE_DIR=1 PIP_DISABLE_PIP_VERSION_CHECK=1

# Dependencies in layers of their own: a change of the code does not install them again.
COPY pyproject.toml ./
RUN python -c "import tomllib; project = tomllib.load(open('pyproject.toml', 'rb'))['project']; \
        print(*project['dependencies'], *project['optional-dependencies']['postgres'], sep='\n')" > requirements.txt \
    && grep '^torch' requirements.txt > torch.txt \
    && pip install ${TORCH_INDEX_URL:+--index-url "$TORCH_INDEX_URL"} -r torch.txt \
    && pip install -r requirements.txt

COPY README.md LICENSE ./
COPY ktrdr ktrdr
RUN pip install --no-deps .


FROM python:3.11-slim

# LightGBM's library needs it, and the slim image lacks it. Debian keeps no older versions that could be named.
# hadolint ignore=DL3008
RUN apt-get update \
    && apt-get install --yes --no-install-recommends libgomp1 \
    && rm -rf /var/lib/apt/lists/*
RUN useradd --uid 10001 --user-group --create-home ktrdr \
    && install --directory --owner=ktrdr --group=ktrdr /var/lib/ktrdr
COPY --from=build /opt/ktrdr /opt/ktrdr
COPY config /app/config

ENV PATH=/opt/ktrdr/bin:$PATH \
    KTRDR_HOME=/var/lib/ktrdr \
    KTRDR_API_HOST=0.0.0.0 \
    KTRDR_API_PORT=8000 \
    KTRDR_API_URL=http://127.0.0.1:8000
WORKDIR /app
USER 10001
EXPOSE 8000

# Log lines go to standard error; here they join standard output, so that `docker logs … | grep` finds them.
# --insecure: within its own network the container must listen on all addresses; docker-compose.yml publishes the port
# to this machine alone. Where KTRDR_API_TOKEN is set, every client must send it.
CMD ["sh", "-c", "exec ktrdr serve --insecure 2>&1"]
