"""The answers' models: what is unknown is absent, and nothing is in them that the contract does not name."""

import pytest
from pydantic import ValidationError

from audience_mcp.catalog.models import Audience, AudienceList, AudienceMatch, Problem, SourceReport, to_dict

REPORT = SourceReport(source="batch", vendor="batch", complete=True, size_counts="identifiers")
NAMES = {
    Audience: "ref name size size_max size_note type status source vendor id description "
    "created_at updated_at details",
    Problem: "kind message retry_after_s",
    SourceReport: "source vendor audiences sum_of_sizes unknown_sizes complete as_of size_counts error",
    AudienceList: "matched returned sum_of_sizes unknown_sizes complete next_offset audiences sources notes",
    AudienceMatch: "matched_by complete audiences sources notes",
}


def test_a_source_that_was_not_read_has_no_figures() -> None:
    assert to_dict(REPORT) == {
        "source": "batch",
        "vendor": "batch",
        "complete": True,
        "size_counts": "identifiers",
    }


def test_a_list_of_nothing_has_its_zeros_and_no_nulls() -> None:
    empty = AudienceList(
        matched=0, returned=0, sum_of_sizes=0, unknown_sizes=0, complete=True, audiences=[], sources=[REPORT]
    )

    assert to_dict(empty) == {
        "matched": 0,
        "returned": 0,
        "sum_of_sizes": 0,
        "unknown_sizes": 0,
        "complete": True,
        "audiences": [],
        "sources": [to_dict(REPORT)],
    }


@pytest.mark.parametrize("size", [-1, 1.5, "many"])
def test_a_size_that_is_none_is_refused(size: object) -> None:
    with pytest.raises(ValidationError):
        Audience.model_validate({"ref": "a:b", "name": "b", "size": size})


@pytest.mark.parametrize("model", NAMES, ids=lambda model: model.__name__)
def test_an_answer_takes_no_further_parts(model: type) -> None:
    with pytest.raises(ValidationError, match="extra_forbidden"):
        model.model_validate({"sizes": 1})  # type: ignore[attr-defined]
