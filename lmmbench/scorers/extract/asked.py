"""What a question calls the option that it asks for."""

from __future__ import annotations

import re

FIT = r"(?:적절한|알맞은|옳은|맞는|올바른|가까운|자연스러운|타당한|정확한|적합한|일치하는|해당하는|어울리는|남는|남은|가능한|고른|선택한)"
_WRONG = (
    r"(?:않은|않는|아닌|틀린|잘못된|부적절한|어색한|거리가 먼|관계 ?없는|관련 ?없는) (?:것|보기|선택지|건|말|표현|설명)"
)
ASKS_WRONG = re.compile(_WRONG)
"""Whether a question is for the wrong option. Every branch begins with a plain letter, so that the search is quick."""
ASKED_WRONG = re.compile(rf"(?:[가-힣]{{1,4}}지 (?=않))?{_WRONG}")
"""What such a question calls the wrong option: in an answer to it, it is a marker."""
