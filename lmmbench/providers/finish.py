"""How an answer ended, in every vendor's words: one open table. The words of the vendors do not contradict each other,
and gateways pass one vendor's word on in another's dialect, so all dialects read the same table."""

from __future__ import annotations

from lmmbench.faults import Fault
from lmmbench.types import Finish

ENDS: dict[str, Finish] = {
    "": "stop", "stop": "stop", "end_turn": "stop", "eos": "stop", "eos_token": "stop", "end_token": "stop",
    "stop_sequence": "stop", "stop_before": "stop", "completed": "stop",
    "length": "length", "max_tokens": "length", "model_length": "length", "model_context_window_exceeded": "length",
    "continuation": "length",
    "content_filter": "refusal", "refusal": "refusal",
    "safety": "refusal", "recitation": "refusal", "blocklist": "refusal", "prohibited_content": "refusal",
    "spii": "refusal", "language": "refusal", "escalation": "refusal", "model_armor": "refusal",
    "image_safety": "refusal", "image_prohibited_content": "refusal", "image_recitation": "refusal",
}  # fmt: skip
"""Words, in lower case, after which there is an answer: whole, cut by a cap, or withheld by the vendor's policy."""

NO_ENDS: dict[str, str] = {
    "tool_calls": "invalid", "tool_use": "invalid", "function_call": "invalid", "pause_turn": "invalid",
    "malformed_function_call": "invalid", "unexpected_tool_call": "invalid", "too_many_tool_calls": "invalid",
    "missing_thought_signature": "invalid", "malformed_response": "invalid", "other": "invalid", "image_other": "invalid",
    "no_image": "invalid", "finish_reason_unspecified": "invalid",
    "insufficient_system_resource": "overload", "error": "overload",
    "pup_limited_disabled": "auth",
}  # fmt: skip
"""Words, in lower case, after which there is none, with the kind of fault that each is."""


LONGEST_WORD = 40
"""Characters of a vendor's word that are shown and counted."""


def ended(word: str) -> Finish:
    """What a vendor's finish word means, in any case; `unknown` for one that no table has. Raises Fault for a word after
    which there is no answer."""
    known = word.lower()
    if known in NO_ENDS:
        said = f"the reply ended with {word[:LONGEST_WORD]!r}, which is no end of an answer"
        raise Fault(NO_ENDS[known], said, maybe_billed=True)
    return ENDS.get(known, "unknown")


def whole(said: str | None, finish: Finish, word: str, lacking: str) -> str:
    """The text of an answer that ended so. Raises Fault (`lacking`) where a whole answer has none. After an unknown word
    what was said is the answer: a vendor's new word would else cost every answer of a run. Nothing said is none: the
    word may have meant just that."""
    if finish == "unknown" and not said:
        shown = word[:LONGEST_WORD]
        raise Fault(
            "invalid", f"the reply ended with {shown!r}, a word that no table has, and has no text", maybe_billed=True,
            unknown_finish=shown,
        )  # fmt: skip
    if finish == "stop" and said is None:
        raise Fault("invalid", lacking, maybe_billed=True)
    return said or ""
