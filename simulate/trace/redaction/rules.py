"""What redaction looks for: shapes of keys as their issuers document them, and personal data with checksums.

A table of our own and no scanner's: detect-secrets, the one that is kept best, reads files line by line and
needs 12 ms for 2 kB of text, where a cassette redacts thousands of texts. Rules that would also hit ids,
order numbers, prices or times are left out or carry a checksum.
"""

# ruff: noqa: E501 - a pattern that is broken over lines is harder to read than a long one

from __future__ import annotations

import ipaddress
import re
from collections.abc import Callable
from dataclasses import dataclass

from simulate.model.bounded_regex import BoundedRegex


@dataclass(frozen=True, slots=True)
class RedactionRule:
    """A pattern; its group ``value``, if it has one, is what gets replaced. ``needles`` are texts of which
    one must be there, so that most rules cost nothing; ``check`` refuses what only looks like it."""

    kind: str
    pattern: re.Pattern[str] | BoundedRegex
    needles: tuple[str, ...] = ()
    check: Callable[[str], bool] | None = None


# not inside of a word; after an escaped line break of a text that is JSON inside of JSON, yes
_START = r"(?:(?<![A-Za-z0-9_])|(?<=\\[nrt]))"
_W = r"[A-Za-z0-9_-]"
_A = r"[A-Za-z0-9]"

_KEYS: tuple[tuple[str, tuple[str, ...]], ...] = (
    (rf"(?:sk|pk|rk)-{_W}{{8,}}", ("k-",)),  # OpenAI, Anthropic, OpenRouter, Langfuse, DeepSeek
    (r"(?:sk|pk|rk)_(?:live|test|prod)_[A-Za-z0-9]{8,}", ("k_",)),  # Stripe, Clerk
    (rf"sk_(?:car_)?{_W}{{20,}}", ("sk_",)),  # ElevenLabs, Cartesia
    (r"whsec_[A-Za-z0-9+/=]{16,}", ("whsec_",)),
    (r"(?:AKIA|ASIA|ABIA|ACCA|AROA|AIDA)[A-Z0-9]{16}(?![A-Za-z0-9])", ("AKIA", "ASIA", "ABIA", "ACCA", "AROA", "AIDA")),
    (rf"gh[pousr]_{_A}{{20,}}", ("gh",)),
    (rf"github_pat_{_W}{{20,}}", ("github_pat_",)),
    (rf"gl(?:pat|rt|dt|ptt|ft|soat|cbt|imt|agent)-{_W}{{16,}}", ("gl",)),
    (rf"xox[a-z]-{_W}{{10,}}", ("xox",)),
    (rf"xapp-{_W}{{10,}}", ("xapp-",)),
    (r"hooks\.slack\.com/services/(?P<value>[A-Za-z0-9/]{20,})", ("hooks.slack.com",)),
    (rf"AIza{_W}{{30,}}", ("AIza",)),
    (r"ya29\.[\w-]{20,}", ("ya29.",)),
    (rf"GOCSPX-{_W}{{20,}}", ("GOCSPX-",)),
    (r"eyJ[\w-]{6,}\.[\w-]{4,}(?:\.[\w-]*)?", ("eyJ",)),  # JSON web tokens
    (r"-----BEGIN[ A-Z]*PRIVATE KEY( BLOCK)?-----[\s\S]*?(?:-----END[ A-Z]*PRIVATE KEY( BLOCK)?-----|\Z)", ("PRIVATE KEY",)),
    (r"(?:SK|AC)[0-9a-f]{32}(?![0-9A-Za-z])", ("SK", "AC")),  # Twilio
    (r"SG\.[\w-]{16,}\.[\w-]{16,}", ("SG.",)),
    (rf"npm_{_A}{{30,}}", ("npm_",)),
    (rf"pypi-{_W}{{16,}}", ("pypi-",)),
    (rf"hf_{_A}{{20,}}", ("hf_",)),
    (rf"gsk_{_A}{{20,}}", ("gsk_",)),
    (rf"r8_{_A}{{20,}}", ("r8_",)),
    (rf"(?:pplx|xai|tvly|csk|fw|nvapi|voyage|jina|pa|key)-{_W}{{20,}}", ("pplx-", "xai-", "tvly-", "csk-", "fw-", "nvapi-", "voyage-", "jina-", "pa-", "key-")),
    (rf"lsv2_(?:pt|sk)_{_W}{{16,}}", ("lsv2_",)),
    (rf"pcsk_{_W}{{20,}}", ("pcsk_",)),
    (r"dapi[0-9a-f]{32}", ("dapi",)),
    (r"do[opr]_v1_[0-9a-f]{32,}", ("_v1_",)),
    (r"[0-9a-f]{32}-us[0-9]{1,2}(?![0-9A-Za-z])", ("-us",)),  # Mailchimp
    (r"[0-9]{8,10}:[\w-]{35}(?![\w-])", (":",)),  # Telegram
    (r"[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,40}", (".",)),  # Discord
    (rf"shp(?:at|ca|pa|ss)_{_A}{{20,}}", ("shp",)),
    (r"(?:sq0[a-z]{3}-|EAAA)[\w-]{20,}", ("sq0", "EAAA")),
    (rf"(?:sntrys|sbp|glsa|glc|lin_api|ntn|dckr_pat|rubygems|figd|pat)_{_W}{{20,}}", ("sntrys_", "sbp_", "glsa_", "glc_", "lin_api_", "ntn_", "dckr_pat_", "rubygems_", "figd_", "pat_")),
    (rf"(?:PMAK|NRAK|ATATT3|hvs\.|hvb\.|dp\.pt\.){_W}{{16,}}", ("PMAK", "NRAK", "ATATT3", "hvs.", "hvb.", "dp.pt.")),
    (r"AccountKey=(?P<value>[A-Za-z0-9+/=]{40,})", ("AccountKey=",)),
    (r"AGE-SECRET-KEY-[0-9A-Z]{40,}", ("AGE-SECRET",)),
)  # fmt: skip

_URL_PASSWORD = r"[a-zA-Z][a-zA-Z0-9+.-]{1,20}://[^\s:/@\"'<>]{0,200}:(?P<value>[^\s/@\"'<>]{1,200})@"
_BEARER = r"(?i:(?<![a-z])(?:bearer|basic|token)\s+)(?P<value>[A-Za-z0-9+/._~=-]{16,})"
_SCHEME = r"(?:(?:bearer|basic|token|digest)\s+)?"
_WORDS = (
    "password|passwd|passphrase|passcode|pwd|secret|api[ _-]?key|apikey|access[ _-]?key|private[ _-]?key|"
    "client[ _-]?secret|auth[ _-]?token|access[ _-]?token|refresh[ _-]?token|authorization|credentials"
)
_ASSIGNED = rf"(?i:(?:{_WORDS})\\?[\"']?\s*[:=]\s*\\?[\"']?{_SCHEME})(?P<value>[^\s\"'<>,;&\\{{}}\[\]]{{4,}})"
_SPOKEN = r"(?i:(?:password|passphrase|passcode)\s+is\s+)(?P<value>(?=[^\s\"]*\d)[^\s\"'<>,;\\]{4,40}[^\s\"'<>,;\\.?!])"


# -- checks ----------------------------------------------------------------------------------------------


def digits(text: str) -> str:
    """The digits of a text."""
    return "".join(char for char in text if char.isdigit())


def luhn(text: str) -> bool:
    """ISO/IEC 7812 check digit, on a number that a card network issues."""
    number = digits(text)
    if not _NETWORK.fullmatch(number):
        return False
    total = 0
    for place, char in enumerate(reversed(number)):
        value = int(char) * (1 + place % 2)
        total += value - 9 if value > 9 else value
    return total % 10 == 0


_NETWORK = re.compile(
    r"4\d{12}(?:\d{3}){0,2}|5[1-5]\d{14}|2[2-7]\d{14}|3[47]\d{13}|3(?:0[0-5]|[68]\d)\d{11}"
    r"|6(?:011|5\d\d|4[4-9]\d)\d{12}|35\d{14}|62\d{14,17}"
)


def iban(text: str) -> bool:
    """ISO 13616: the letters as numbers, the first four characters at the end, modulo 97 is 1."""
    bare = "".join(text.split()).upper()
    if not 15 <= len(bare) <= 34:
        return False
    return int("".join(str(int(char, 36)) for char in bare[4:] + bare[:4])) % 97 == 1


def address(text: str) -> bool:
    """An IP address that is somebody's: not loopback, not unspecified."""
    try:
        found = ipaddress.ip_address(text)
    except ValueError:
        return False
    return not (found.is_loopback or found.is_unspecified)


def phone(text: str) -> bool:
    """ITU E.164 allows 15 digits; fewer than 8 are rather something else."""
    return 8 <= len(digits(text)) <= 15


def _mixed(text: str) -> bool:
    """A key, not a word with hyphens such as ``sk-learn-pipeline`` or a name of a model."""
    tail = text.split("-", 1)[-1]
    return any(char.isdigit() for char in tail) or any(char.isupper() for char in tail)


def _credential(text: str) -> bool:
    """Not a word that follows "basic" or "token" in a sentence."""
    return any(char.isdigit() for char in text) or any(char.isupper() for char in text[1:])


def _secret(pattern: str, needles: tuple[str, ...]) -> RedactionRule:
    check = _mixed if pattern.startswith(("(?:sk|pk|rk)-", "(?:pplx|")) else None
    return RedactionRule("secret", re.compile(_START + pattern), needles, check)


RULES: tuple[RedactionRule, ...] = (
    *(_secret(pattern, needles) for pattern, needles in _KEYS),
    RedactionRule("secret", re.compile(_URL_PASSWORD), ("://",)),
    RedactionRule("secret", re.compile(_BEARER), ("earer ", "EARER ", "asic ", "oken "), _credential),
    RedactionRule("secret", re.compile(_ASSIGNED), ("=", ":")),
    RedactionRule("secret", re.compile(_SPOKEN), (" is ",)),
    RedactionRule(
        "email",
        re.compile(r"(?<![\w.+%-])[\w.+%-]+?(?:@|%40)(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,24}(?![A-Za-z0-9])"),
        ("@", "%40"),
    ),
    RedactionRule(
        "iban",
        # in groups only in capitals, so that the word after it is not taken for a part of it
        re.compile(r"(?<![A-Za-z0-9])(?:[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?|[A-Za-z]{2}[0-9]{2}[A-Za-z0-9]{11,30})(?![A-Za-z0-9])"),
        (),
        iban,
    ),
    RedactionRule("card", re.compile(r"(?<![\w-])(?<![0-9]\.)(?:[0-9][ -]?){12,18}[0-9](?![\w-]|\.[0-9])"), (), luhn),
    RedactionRule("ssn", re.compile(r"(?<![\w-])(?<![0-9]\.)[0-9]{3}-[0-9]{2}-[0-9]{4}(?![\w-]|\.[0-9])"), ("-",)),
    RedactionRule("phone", re.compile(r"(?<![\w+])\+[0-9](?:[ ().\-/]{0,2}[0-9]){7,14}(?![0-9])"), ("+",), phone),
    RedactionRule(
        "phone",
        re.compile(r"(?<![\w-])(?<![0-9]\.)\(?[2-9][0-9]{2}\)?[ .-] ?[0-9]{3}[ .-][0-9]{4}(?![\w-]|\.[0-9])"),
    ),
    RedactionRule("phone", re.compile(r"(?<![\w:-])(?<![0-9]\.)0[1-9][0-9]{1,4}[ /-][0-9]{3,8}(?:[ -][0-9]{2,6})?(?![\w:-]|\.[0-9])"), (), phone),
    RedactionRule(
        "ip",
        re.compile(r"(?<!\w)(?<![0-9]\.)(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])(?![\w]|\.[0-9])"),
        (".",),
        address,
    ),
    RedactionRule("ip", re.compile(r"(?<![\w:])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{0,4}(?![\w:])"), (":",), address),
)  # fmt: skip
