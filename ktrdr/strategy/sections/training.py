"""The section `training`."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import (
    Field,
)

from ktrdr.strategy.sections.base import Fraction, Section


class EarlyStopping(Section):
    patience: int = Field(ge=1, le=100_000, description="Epochs without improvement before the training stops.")
    min_delta: float = Field(0.0, ge=0, description="Smallest fall of the validation loss that counts.")


class RateByStep(Section):
    """Settings of schedules that follow the steps of the optimizer, over all of `training.epochs`."""

    warmup_ratio: float
    final_factor: float = Field(0.0, ge=0, le=1, description="Rate of the last step, as a share of learning_rate.")


class Cosine(RateByStep):
    """A linear rise to learning_rate, then half a cosine down."""

    type: Literal["cosine"]
    warmup_ratio: Fraction = Field(0.0, description="Share of all steps in which the rate rises.")


class OneCycle(RateByStep):
    """Half a cosine from a low rate up to learning_rate, then half a cosine down."""

    type: Literal["one_cycle"]
    warmup_ratio: Fraction = Field(0.3, description="Share of all steps in which the rate rises.")
    initial_factor: float = Field(0.04, gt=0, le=1, description="Rate of the first step, as a share of learning_rate.")


class Plateau(Section):
    """A lower rate whenever the validation loss has stopped falling."""

    type: Literal["plateau"]
    patience: int = Field(5, ge=1, le=100_000, description="Epochs without improvement before the rate falls.")
    factor: float = Field(0.5, gt=0, lt=1, description="What the rate is multiplied by then.")
    min_delta: float = Field(0.0, ge=0, description="Smallest fall of the validation loss that counts.")
    min_factor: Fraction = Field(0.0, description="Lowest rate, as a share of learning_rate.")


Schedule = Annotated[Cosine | OneCycle | Plateau, Field(discriminator="type")]


class Training(Section):
    epochs: int = Field(50, ge=1, le=100_000, description="Passes over the training part.")
    batch_size: int = Field(32, ge=1, le=65_536, description="Samples in one step of the optimizer.")
    validation_split: float = Field(
        0.2, ge=0.001, le=0.999, description="Share of the samples, the latest, kept to validate."
    )
    learning_rate: float = Field(
        1e-3, gt=0, le=10, description="Step size of the optimizer; of gradient_boosting 0.05 by default."
    )
    # Left out of documents where it is null, so that strategies from before it was there keep their fingerprints.
    schedule: Schedule | None = Field(
        None,
        exclude_if=lambda schedule: schedule is None,
        description="How the learning rate changes; null: not at all.",
    )
    optimizer: Literal["adam", "adamw", "sgd"] = Field("adam", description="How weights follow gradients.")
    weight_decay: float = Field(0.0, ge=0, le=10, description="Strength of the pull of weights towards zero.")
    seed: int = Field(42, ge=0, lt=2**32, description="The same seed and inputs give the same bits.")
    early_stopping: EarlyStopping | None = Field(None, description="When to stop before the last epoch.")
    class_weights: Literal["balanced", "none"] = Field("none", description="Whether rare classes weigh more.")
    threads: int = Field(1, ge=1, le=256, description="CPU threads; part of what makes a run repeatable.")
    gradient_clip: float | None = Field(None, gt=0, description="Largest norm of a step's gradient.")
    sample_weights: Literal["uniqueness", "none"] = Field(
        "none", description="Whether samples whose labels overlap others' in time weigh less."
    )
    device: Literal["auto", "cpu", "cuda", "mps"] = Field("auto", description="auto: a CUDA GPU where there is one.")
