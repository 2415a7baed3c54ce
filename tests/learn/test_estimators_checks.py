"""Both estimators through scikit-learn's own battery of checks."""

from typing import Any

from sklearn.utils.estimator_checks import parametrize_with_checks

from tutti.learn import TuttiClassifier, TuttiRegressor
from tutti.models import MLP

SETTINGS: dict[str, Any] = {
    "model": MLP(hidden=(32,)),
    "learning_rates": (2e-2,),
    "weight_decays": 0.0,
    "epochs": 25,
    "folds": 3,
}

# The one exception. What holds in its place is shown in test_estimators.py:
# test_a_weight_counts_as_so_many_rows, test_rows_of_weight_zero_are_as_good_as_absent.
EXPECTED_TO_FAIL = {
    "check_sample_weight_equivalence_on_dense_data": (
        "It asks for equal predictions to seven digits. A network is trained on mini-batches of rows and judged on "
        "folds of rows, so a weight of 2 equals a row given twice in expectation, not bit for bit."
    ),
}


def expected_to_fail(estimator: Any) -> dict[str, str]:
    return EXPECTED_TO_FAIL


@parametrize_with_checks(
    [TuttiClassifier(**SETTINGS), TuttiRegressor(**SETTINGS)], expected_failed_checks=expected_to_fail
)
def test_scikit_learn_accepts_it(estimator: Any, check: Any) -> None:
    check(estimator)
