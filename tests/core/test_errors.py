from tutti.core import InputError, InputTypeError, nearest, unknown


def test_the_message_holds_the_problem_and_the_fix():
    error = InputError("The file is empty.", fix="Give one with rows.")
    assert (error.problem, error.fix) == ("The file is empty.", "Give one with rows.")
    assert str(error) == "The file is empty. Give one with rows."
    assert str(InputError("The file is empty.")) == "The file is empty."


def test_callers_catch_it_as_python_would_have_it():
    assert isinstance(InputError(""), ValueError)
    assert isinstance(InputTypeError(""), TypeError)
    assert isinstance(InputTypeError(""), InputError)


def test_the_nearest_name_is_found_whatever_its_case():
    assert nearest("SURVIVD", ["sex", "Survived"]) == "Survived"
    assert nearest("xyz", ["sex", "survived"]) is None
    assert nearest("a", []) is None


def test_an_unknown_name_offers_the_nearest_or_lists_what_there_is():
    assert unknown("column", "survivd", ["sex", "survived"]).fix == "Did you mean 'survived'?"
    assert unknown("metric", "xyz", ["auc", "rmse"]).fix == "There is: auc, rmse."
    assert unknown("column", "xyz", []).fix == ""
    long = unknown("column", "xyz", [f"c{i}" for i in range(100)]).fix
    assert "c19" in long
    assert "c20" not in long
    assert long.endswith("….")
