"""A look with all that the ledger stores of it, and its form in a bundle."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ktrdr.errors import InputError
from ktrdr.ledger.footprint import Footprint, Instants, Track, microseconds
from ktrdr.ledger.series import LookSeries
from ktrdr.payloads.looks import Look, LookRecord, Opening, SeriesRecord, TrackRecord


@dataclass(frozen=True, slots=True, eq=False)
class StoredLook:
    """One look.

    footprint: the bars that it evaluated
    series: None where it was not closed, or closed without
    openings: of sealed rows, by this look
    """

    look: Look
    footprint: Footprint
    series: LookSeries | None
    openings: tuple[Opening, ...]

    def record(self) -> LookRecord:
        return LookRecord(
            look=self.look,
            tracks=tuple(map(_track_record, self.footprint.tracks)),
            series=_series_record(self.series) if self.series else None,
            openings=self.openings,
        )

    @classmethod
    def parse(cls, record: LookRecord) -> StoredLook:
        """What `record` came from. Raises InputError where it cannot have come from a ledger."""
        look = record.look
        try:
            footprint = Footprint(tuple(map(_parse_track, record.tracks)))
            series = _parse_series(record.series) if record.series else None
        except (ValueError, KeyError, TypeError) as error:
            raise InputError(f"the record of {look.look_id} is damaged: {error}", hint="pack it anew") from None
        if not footprint.tracks or any(opening.look_id != look.look_id for opening in record.openings):
            raise InputError(f"the record of {look.look_id} is not whole", hint="pack it anew")
        look = look.model_copy(update={"has_series": series is not None})
        return cls(look, footprint, series, record.openings)


def _track_record(track: Track) -> TrackRecord:
    return TrackRecord(
        length_us=microseconds(track.length), instants=track.instants.tobytes(), closes=track.closes.tobytes()
    )


def _series_record(series: LookSeries) -> SeriesRecord:
    return SeriesRecord(
        header=series.header(),
        content=series.content(),
        instants=series.instants.tobytes(),
        periods=series.periods.tobytes(),
    )


def _parse_track(record: TrackRecord) -> Track:
    instants, closes = _parse_instants(record.instants), np.frombuffer(record.closes, np.float64)
    if not 0 < len(instants) == len(closes) or not (np.isfinite(closes) & (closes > 0)).all():
        raise ValueError("its bars have no prices")
    return Track(np.timedelta64(record.length_us, "us"), instants, closes)


def _parse_series(record: SeriesRecord) -> LookSeries:
    instants, periods = _parse_instants(record.instants), _parse_instants(record.periods)
    return LookSeries.parse(record.header, record.content, instants, periods)


def _parse_instants(content: bytes) -> Instants:
    instants = np.frombuffer(content, "datetime64[us]")
    if np.isnat(instants).any() or not (np.diff(instants) > np.timedelta64(0)).all():
        raise ValueError("its instants do not rise")
    return instants
