"""Curves over a setting: values by hand, isotonic regression, and where nothing is said."""

from __future__ import annotations

import math

import numpy as np
import pytest
from sklearn.isotonic import IsotonicRegression

from random_routing.comparison.curves import (
    FLAT,
    NO_CURVE,
    OUTSIDE,
    Cubics,
    Curve,
    MatchedDifference,
    Point,
    isotonic,
    matched_difference,
    slopes,
)
from random_routing.resampling.intervals import Sampled

NAN = math.nan


def sampled(value: float, spread: float = 0.0, resamples: int = 100) -> Sampled:
    """Its resamples lie `spread` to either side of the value."""
    return Sampled(value, value + np.where(np.arange(resamples) % 2 == 0, spread, -spread), 500)


def point(diversity: float, quality: float, spread: float = 0.0) -> Point:
    return Point(sampled(diversity), sampled(quality, spread))


CURVE = Curve.of({1.0: point(0.8, 30.0), 0.5: point(0.4, 50.0), 0.7: point(0.6, 40.0)})  # in no order


def found(one: Point, curve: Curve = CURVE) -> Sampled:
    difference = matched_difference(one, curve).value
    assert difference is not None
    return difference


def test_matched_difference_by_hand() -> None:
    """Quality is 70 − 50 × diversity at all points, so between them too: 45 at 0.5, 30 at 0.8. Slopes of the cubic:
    1.133 at 0.5, 0.867 at 0.7 (of the parabola through all), so that diversity is 0.5067 at 0.6, and 0.5 at 0.5933.
    """
    difference = matched_difference(point(0.5, 47.0, spread=1.0), CURVE)
    assert difference.value is not None and difference.at == pytest.approx(0.5933, abs=0.0001)
    assert difference.value.value == pytest.approx(2.0)
    assert set(difference.value.resamples.round(9)) == {1.0, 3.0}
    assert found(point(0.8, 29.0)).value == pytest.approx(-1.0)
    assert found(point(0.4, 49.0)).value == pytest.approx(-1.0)


def test_nothing_is_extrapolated() -> None:
    for outside in (point(0.81, 47.0), point(0.39, 47.0), point(NAN, 47.0)):
        assert matched_difference(outside, CURVE) == MatchedDifference(None, missing=OUTSIDE)

    def with_outside(count: int) -> Point:
        return Point(Sampled(0.79, np.where(np.arange(100) < count, 0.9, 0.79), 500), sampled(47.0))

    assert matched_difference(with_outside(11), CURVE).missing == OUTSIDE
    assert np.isnan(found(with_outside(10)).resamples).sum() == 10
    assert matched_difference(point(0.5, 47.0), Curve.of({1.0: point(0.8, 30.0)})).missing == NO_CURVE
    assert len(Curve.of({0.5: point(0.4, NAN), 1.0: point(0.8, 30.0)})) == 1


def test_the_sign_of_a_distance_is_lost_last() -> None:
    """The curve runs from −1 to +1: between, it is as near to people as can be, not at distance 1."""

    def gap(diversity: float, signed: float) -> Point:
        return Point(sampled(diversity), sampled(-abs(signed)), sampled(signed))

    curve = Curve.of({0.5: gap(0.4, -1.0), 1.0: gap(0.8, 1.0)})
    assert found(gap(0.6, 0.25), curve).value == pytest.approx(-0.25)
    assert found(gap(0.7, -0.25), curve).value == pytest.approx(0.25)


def test_a_flat_stretch_is_not_identified() -> None:
    """Diversity that rises by less than two standard errors around a place says nothing of the setting there."""

    def noisy(diversity: float, quality: float, seed: int) -> Point:
        random = np.random.Generator(np.random.Philox(seed))
        return Point(
            Sampled(diversity, diversity + 0.01 * random.standard_normal(100), 500), sampled(quality)
        )

    flat = [noisy(0.900 + 0.002 * i, 50.0 - i, i) for i in range(4)]
    curve = Curve.of({0.5: noisy(0.2, 60.0, 9)} | {0.7 + 0.1 * i: one for i, one in enumerate(flat)})
    assert matched_difference(noisy(0.903, 47.0, 8), curve).missing == FLAT
    assert matched_difference(noisy(0.5, 47.0, 8), curve).value is not None


def test_isotonic_regression_equals_scikit_learns() -> None:
    random = np.random.Generator(np.random.Philox(1))
    for size in (1, 2, 9):
        values = random.random((50, size)).cumsum(1) * 0.2 + random.random((50, size))
        expected = [IsotonicRegression().fit_transform(np.arange(size), row) for row in values]
        assert np.allclose(isotonic(values), expected, atol=1e-12)


SETTINGS = np.array([0.0, 0.3, 0.5, 0.7, 1.0, 1.3])


def test_cubics_go_through_the_points_and_never_leave_their_range() -> None:
    """Row by row, with the rows that have no value left out."""
    random = np.random.Generator(np.random.Philox(3))
    values, at = random.random((40, 6)), 1.3 * random.random(40)
    values[7, 2], at[8] = NAN, NAN
    assert np.isnan(Cubics(SETTINGS, values).at(at)).nonzero()[0].tolist() == [7, 8]
    known = Cubics(SETTINGS, values[9:])
    for setting, column in zip(SETTINGS, values[9:].T, strict=True):
        assert np.allclose(known.at(np.full(31, setting)), column, atol=1e-12)
    for left, right, low, high in zip(
        SETTINGS[:-1], SETTINGS[1:], values[9:].T[:-1], values[9:].T[1:], strict=True
    ):
        read = np.stack([known.at(np.full(31, x)) for x in np.linspace(left, right, 20)])
        assert (np.diff(read, axis=0) * np.sign(high - low) > -1e-12).all()  # monotone in every piece


def test_a_parabola_is_read_as_it_is() -> None:
    """But where the cubics could leave the points' range: beside its turning point, and where it is flat."""
    values = np.stack([(SETTINGS + 0.5) ** 2, -((SETTINGS + 2) ** 2)])
    for x in np.linspace(0, 1.3, 27):
        assert Cubics(SETTINGS, values).at(np.full(2, x)) == pytest.approx(
            [(x + 0.5) ** 2, -((x + 2) ** 2)]
        )
    turning = slopes(SETTINGS, np.array([[0, 1, 1, 1, 2, 1.5]]))[0]
    assert turning.tolist() == pytest.approx([16 / 3, 0, 0, 0, 0, -25 / 6])
    two = Cubics(SETTINGS[:2], np.array([[1.0, 4.0]]))
    assert two.at(np.array([0.1])) == pytest.approx([2.0])


def test_reading_a_curve_undoes_it() -> None:
    """The setting at which a rising curve has a diversity, and back; where noise turns its order, it still rises."""
    random = np.random.Generator(np.random.Philox(2))
    diversities = random.random((200, 6)).cumsum(1)
    x = diversities[:, 0] + random.random(200) * (diversities[:, -1] - diversities[:, 0])
    curves = Cubics(SETTINGS, diversities)
    assert np.allclose(curves.at(curves.setting_of(x)), x)
    for end, setting in ((0, 0.0), (-1, 1.3)):
        assert np.allclose(curves.setting_of(diversities[:, end]), setting, atol=1e-5)
    turned = diversities[:1, [0, 2, 1, 3, 4, 5]]
    along = np.linspace(turned[0, 0], turned[0, -1], 50)
    risen = Cubics(SETTINGS, isotonic(np.repeat(turned, 50, 0)))
    assert (np.diff(risen.setting_of(along)) >= 0).all()
    assert np.isnan(Cubics(SETTINGS, np.full((1, 6), NAN)).setting_of(np.array([5.0]))).all()


def test_a_flat_curve_is_read_where_it_rises_again() -> None:
    flat = Cubics(np.array([0.0, 1.0, 2.0, 3.0]), np.array([[1.0, 2.0, 2.0, 4.0]]))
    assert flat.setting_of(np.array([2.0])) == pytest.approx(2.0, abs=1e-6)


def test_a_curve_that_bends_gives_nothing_away() -> None:
    """Warmer sampling loses quality faster and faster. A decoder on that curve between its points is 0 from it; from
    straight lines it would be far above.
    """
    settings = np.array([0.5, 0.7, 0.85, 1.0, 1.15, 1.3, 1.5])

    def truth(setting: float) -> tuple[float, float]:
        return 1 - math.exp(-2 * setting), 1 - math.exp(3 * (setting - 1.5))

    curve = Curve.of({setting: point(*truth(setting)) for setting in settings})
    for setting in (0.8, 1.05, 1.1, 1.22, 1.4):
        diversity, quality = truth(setting)
        straight = quality - np.interp(diversity, *np.array([truth(s) for s in settings]).T)
        assert straight > 0.004 and abs(found(point(diversity, quality), curve).value) < straight / 5
