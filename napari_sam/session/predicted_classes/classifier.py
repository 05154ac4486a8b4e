"""Tell the classes of objects by examples, with scikit-learn (the extra `classes`)."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from importlib.util import find_spec
from typing import Final, NamedTuple

from napari_sam.formats.classes import ClassError
from napari_sam.session.objects.features import ObjectFeatures, comparable
from napari_sam.session.objects.records import counted

LEAST_EXAMPLES: Final = 3
"""Objects of a class from which on it is predicted."""
_FREEDOM: Final = 30.0
"""The inverse of how much the classifier is regularized, for features of about unit length."""
_MAX_ITERATIONS: Final = 500
_INSTALL: Final = 'pip install "napari-sam-live[classes]"'


class PredictedClass(NamedTuple):
    """The class that an object probably has."""

    name: str
    confidence: float
    """The estimated probability, 0 to 1."""


def require_scikit_learn() -> None:
    """Raise ClassError with what to install if scikit-learn is missing."""
    if find_spec("sklearn") is None:
        raise ClassError(f"Predicting classes needs the package scikit-learn; run: {_INSTALL}")


def taught(names: Iterable[str]) -> set[str]:
    """Return the classes with enough examples, given the class of each."""
    return {name for name, count in Counter(names).items() if count >= LEAST_EXAMPLES}


def what_is_missing(names: Iterable[str]) -> str:
    """Return which examples are missing, given the class of each; empty if none are."""
    counts = Counter(names)
    few = [
        f"'{name}' has {counted(count)} of {LEAST_EXAMPLES}"
        for name, count in counts.items()
        if count < LEAST_EXAMPLES
    ]
    if few:
        return f"Too few examples: {', '.join(few)}. Give more objects these classes."
    if len(counts) > 1:
        return ""
    how_many = "Only one class has" if counts else "No class has"
    return f"{how_many} examples: give {LEAST_EXAMPLES} objects each of two classes or more."


def predict_classes(
    examples: Sequence[ObjectFeatures], names: Sequence[str], others: Sequence[ObjectFeatures]
) -> list[PredictedClass]:
    """Predict the classes of objects from examples of two classes or more; for any thread.

    Parameters
    ----------
    examples : sequence of ObjectFeatures
        Of objects whose classes are known.
    names : sequence of str
        Their classes.
    others : sequence of ObjectFeatures
        Of the objects to class.

    Returns
    -------
    list of PredictedClass
        In the order of `others`.

    Raises
    ------
    ClassError
        If scikit-learn is missing.
    """
    require_scikit_learn()
    if not others:
        return []
    from sklearn.linear_model import LogisticRegression

    features = comparable([*examples, *others])
    known, unknown = features[: len(examples)], features[len(examples) :]
    # A class with few examples is as likely as one with many.
    classifier = LogisticRegression(
        C=_FREEDOM, class_weight="balanced", max_iter=_MAX_ITERATIONS
    ).fit(known, list(names))
    shares = classifier.predict_proba(unknown)
    best = shares.argmax(axis=1)
    return [
        PredictedClass(str(classifier.classes_[index]), float(share[index]))
        for index, share in zip(best, shares, strict=True)
    ]
