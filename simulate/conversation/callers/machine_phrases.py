"""What only a machine or the agent says, never a caller. Regular expressions, one phrase a line."""

from __future__ import annotations

import re


def _any(*phrases: str) -> re.Pattern[str]:
    return re.compile(rf"\b(?:{'|'.join(phrases)})", re.I)


_MODEL = r"(?:ai|a\.i\.|artificial intelligence|(?:large )?language model)\b"
_IAM = r"(?:i am|i'm|i’m)"
_CANNOT = r"i (?:can'?t|can’t|cannot|won't|am unable to|am not able to)"

MACHINE = _any(
    rf"as an? (?:{_MODEL}|virtual assistant|assistant\b(?! \w+er\b| professor| director| editor))",
    rf"(?:{_IAM}|being) (?:just |only |actually )?an? (?:{_MODEL}|chat ?bot|(?:virtual|helpful) assistant\b)",
    rf"{_IAM} (?:just |only )?a simulat\w+",
    rf"{_IAM} (?:chatgpt|gpt-?\d|claude|smollm|qwen|llama|gemini)\b",
    r"(?:my|the) (?:system prompt|instructions (?:say|are|tell)|training data|persona (?:is|says|would))",
    r"(?:playing the (?:role|part)|simulated (?:caller|user|customer)|in this (?:simulation|scenario))\b",
    r"i was (?:told|instructed|asked|trained) to (?:play|act as|simulate|pretend)",
    r"i was (?:created|developed|trained|made) by (?:openai|anthropic|google|meta|hugging)",
    rf"{_CANNOT} (?:assist (?:you )?with (?:that|this)|help (?:you )?with (?:that|this)(?: request)?\W*$)",
    rf"{_CANNOT} (?:continue(?: with)?|engage in|participate in|fulfil+|comply with)"
    r" (?:this|that|the|your)\b",
)

ABOUT_THE_OTHER = re.compile(
    r"\b(?:are|r) (?:you|u)\b|\bam i (?:talking|speaking|chatting)\b|\bnot (?:a|an)\b"
    r"|\b(?:you|u)(?:'re| are|r)\b",
    re.I,
)
"""Before a phrase of `MACHINE`, this makes it a human question: "are you an AI?"."""

_I = r"(?:i|we)"
_DOES = (
    r"(?:process(?:ed)?|issu(?:e|ed)|initiat(?:e|ed)|refund(?:ed)?|cancel(?:led|ed)?|ship(?:ped)?|rebook(?:ed)?"
    r"|escalat(?:e|ed)|appl(?:y|ied)|book(?:ed)?|updat(?:e|ed))"
)
_DONE = (
    r"(?:processed|issued|shipped|cancell?ed|confirmed|updated|booked|refunded|approved|completed|dispatched)"
)
_DATA = (
    r"(?:order|booking|account|full name|e-?mail|phone|reference|reservation|customer (?:id|number)"
    r"|date of birth)"
)

AGENT = _any(
    rf"how (?:can|may) {_I} (?:help|assist|support|serve) you",
    r"as (?:the|your) (?:\w+ )?(?:agent|representative|support)\b(?! (?:said|told))",
    r"(?:on|from) our (?:side|end|team|department)\b",
    rf"(?:{_I}(?:'ll| will)?|let me) (?:bring|pull) up (?:that|your) {_DATA}",
    rf"what can {_I} do for you today",
    rf"{_I}(?:'d| would|'ll| will)? be (?:more than )?(?:happy|glad) to (?:help|assist)",
    rf"{_I}(?:'m| am|'re| are) (?:more than )?(?:happy|glad|here) to (?:help|assist)",
    r"(?:thank you|thanks) for (?:calling|contacting|reaching out|choosing|holding)",
    r"(?:thank you|thanks) for your (?:patience|order|purchase|business)",
    rf"is there anything else {_I} can",
    r"let me (?:check|look (?!for)|pull|see|verify|process|transfer|connect)\b[^.?!]{0,30}"
    r"\b(?:for you|your|you (?:to|with))\b",
    rf"{_I}(?:'ve|'ll| have| will| am going to|'m going to| can)? (?:now )?(?:just )?{_DOES}"
    r" (?:the |a |an )?(?:full )?(?:refund |replacement |credit )?(?:to |for )?your"
    r" (?:order|booking|account|refund|card|request|reservation|table|replacement|address|payment)\b",
    rf"{_I}(?:'ve| have|'ll| will) (?:process|issu|initiat|arrang)\w* (?:a|the|your) (?:full )?"
    r"(?:refund|replacement|credit)",
    r"your (?:refund|order|booking|reservation|replacement|request|account)"
    rf" (?:has been|is being|was|will be) {_DONE}",
    rf"(?:could|can|may|would) (?:you|{_I}) (?:please )?(?:have|get|provide|confirm|verify|share|give)"
    rf" (?:me |us )?(?:with )?your {_DATA}",
    r"may i have (?:the(?! confirmation| tracking| case| ticket)|your)\b[^.!?]{0,20}"
    r"(?:number|reference|code|name|id)\b",
    rf"please (?:provide|confirm|verify|share|give)(?: me| us)?(?: with)? your {_DATA}",
    rf"{_I}(?:'re| are|'m| am)? (?:sincerely |deeply )?(?:apologi[sz]e|sorry) for (?:the|any) inconvenience",
    r"our (?:policy|records|system|customers?|support team|refund policy|agents?)"
    r" (?:is|are|shows?|says?|states?|indicates?|will|can|allows?)\b",
    r"customer (?:support|service) (?:here|speaking)",
    r"this is (?:the )?(?:customer )?(?:support|service desk|helpdesk)\b",
)

OTHER_SIDE = re.compile(
    r"(?:^|\n)\s*\**(?:agent|assistant|support|representative|rep|operator|customer service|system|ai|bot)"
    r"\**\s*:",
    re.I,
)
"""A label that begins the other side's words."""

NARRATED = re.compile(
    r"\W*(?:the|this) (?:customer|caller|user|client|person|persona)\s+(?:then |now |politely |angrily )?"
    r"(?:says|explains|asks|tells|wants|replies|responds|answers|states|sighs|hangs up|thanks|requests"
    r"|provides|mentions|complains|insists"
    r"|is (?:calling|asking|angry|upset|frustrated|annoyed|in a hurry))\b",
    re.I,
)
"""At the beginning of a line, this tells of the customer instead of speaking as one."""

COURTESY = _any(
    r"any(?:thing|body|one) else",
    r"(?:something|what) else",
    r"(?:help|assist) you",
    r"do for you",
    r"(?:is that|are you) (?:ok|okay|all|right|fine|sure)",
    r"does that (?:help|answer)",
    r"(?:ok|okay|all right|alright|right)\s*\?",
)
"""In a question, this asks for nothing that has to be answered."""

QUOTING = re.compile(
    r"\b(?:you|u|they|he|she|it|e-?mail|website|site|app|message|page|text|sms|lady|guy|agent|colleague|bot|system)\b"
    r"[^.?!]{0,40}\b(?:said|says?|told|wrote|promised|claims?|claimed|states?|stated|saying|read|reads)\b",
    re.I,
)
"""Before a phrase of `AGENT`, this makes it a report of what somebody said."""

QUOTED = re.compile(r"\W{0,3}(?:it|they|he|she|you|the \w+) (?:says?|said|told)\b", re.I)
"""Right after a phrase of `AGENT`, likewise."""

FAREWELL = _any(
    r"thanks\b",
    r"thank you\b",
    r"(?:good)?bye\b",
    r"have a (?:nice|good|great|lovely|wonderful) (?:one|day|evening)\b",
    r"(?:take care|see you|you too|you're welcome|no problem)\b",
)
