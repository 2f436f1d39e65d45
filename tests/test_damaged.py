"""x"""

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from tests.strategies import KINDS, answer_of


@pytest.mark.filterwarnings("ignore")  # Pillow's, about damaged tags
@pytest.mark.parametrize("kind", KINDS)
def test_any_input_is_read_or_refused_in_one_line(kind: str, tmp_path: Path) -> None:
    inputs, read = KINDS[kind](tmp_path)

    @settings(max_examples=60, suppress_health_check=list(HealthCheck))
    @given(inputs)
    def each(content: object) -> None:
        answer_of(lambda: read(content))

    each()
