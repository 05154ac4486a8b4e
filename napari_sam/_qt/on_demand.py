"""Parts of the dock that are built when first needed: opening the widget waits for none of them."""

from collections.abc import Callable
from typing import Generic, TypeVar

PartT = TypeVar("PartT")


class OnDemand(Generic[PartT]):
    """A part that is built when it is first shown, or asked for otherwise."""

    def __init__(self, build: Callable[[], PartT]) -> None:
        self._build = build
        self._to_do: list[Callable[[PartT], object]] = []
        self.built: PartT | None = None
        """The part; None until it is needed."""

    @classmethod
    def of(cls, part: "PartT | OnDemand[PartT]") -> "OnDemand[PartT]":
        """Return a part to be built as it is, or one that is there already as built."""
        if isinstance(part, OnDemand):
            return part
        on_demand = cls(lambda: part)
        on_demand.get()
        return on_demand

    def get(self) -> PartT:
        """Return the part, building it first if need be."""
        if self.built is None:
            self.built = part = self._build()
            for action in self._to_do:
                action(part)
        return self.built

    def when_built(self, action: Callable[[PartT], object]) -> None:
        """Lay the part out, connect or fill it once it is built, in the order of these calls."""
        if self.built is None:
            self._to_do.append(action)
        else:
            action(self.built)
