"""What redaction looks for: shapes of keys as their issuers document them, and personal data with checksums.

A table of our own and no scanner's: detect-secrets, the one that is kept best, reads files line by line and
needs 12 ms for 2 kB of text, where a cassette redacts thousands of texts. Rules that would also hit ids,
order numbers, prices or times are left out or carry a checksum.
"""

# ruff: noqa: E501 - a pattern that is broken over lines is harder to read than a long one

from __future__ import annotations

import base64
import ipaddress
import re
from collections.abc import Callable
from functools import lru_cache

from simulate.trace.redaction.labelled import LABELLED
from simulate.trace.redaction.searched import RedactionRule, SearchedText

# not inside of a word; after an escaped line break of JSON inside of JSON or a percent-encoded sign, yes
_START = r"(?:(?<![A-Za-z0-9_])|(?<=\\[nrt])|(?<=%[0-9A-Fa-f][0-9A-Fa-f]))"
_W = r"[A-Za-z0-9_-]"
_A = r"[A-Za-z0-9]"

_KEYS: tuple[tuple[str, tuple[str, ...] | str], ...] = (
    (rf"(?:sk|pk|rk)-{_W}{{8,}}", ("k-",)),  # OpenAI, Anthropic, OpenRouter, Langfuse, DeepSeek
    (r"(?:sk|pk|rk)_(?:live|test|prod)_[A-Za-z0-9]{8,}", ("k_",)),  # Stripe, Clerk
    (rf"sk_(?:car_)?{_W}{{20,}}", ("sk_",)),  # ElevenLabs, Cartesia
    (r"whsec_[A-Za-z0-9+/=]{16,}", ("whsec_",)),
    (r"(?:AKIA|ASIA|ABIA|ACCA|AROA|AIDA)[A-Z0-9]{16}(?![A-Za-z0-9])", ("AKIA", "ASIA", "ABIA", "ACCA", "AROA", "AIDA")),
    (r"(?:AKIA|ASIA)[A-Z0-9]{16}[^A-Za-z0-9]{1,20}(?P<value>[A-Za-z0-9/+]{40})(?![A-Za-z0-9/+])", ("AKIA", "ASIA")),
    (rf"gh[pousr]_{_A}{{20,}}", ("ghp_", "gho_", "ghu_", "ghs_", "ghr_")),
    (rf"github_pat_{_W}{{20,}}", ("github_pat_",)),
    (rf"gl(?:pat|rt|dt|ptt|ft|soat|cbt|imt|agent)-{_W}{{16,}}", ("gl",)),
    (rf"xox[a-z]-{_W}{{10,}}", ("xox",)),
    (rf"xapp-{_W}{{10,}}", ("xapp-",)),
    (r"hooks\.slack\.com/services/(?P<value>[A-Za-z0-9/]{20,})", ("hooks.slack.com",)),
    (rf"AIza{_W}{{30,}}", ("AIza",)),
    (r"ya29\.[\w-]{20,}", ("ya29.",)),
    (rf"GOCSPX-{_W}{{20,}}", ("GOCSPX-",)),
    (r"eyJ[\w-]{6,}\.[\w-]{4,}(?:\.[\w-]*)?", ("eyJ",)),  # JSON web tokens
    (r"(?:SK|AC)[0-9a-f]{32}(?![0-9A-Za-z])", r"SK[0-9a-f]{32}|AC[0-9a-f]{32}"),  # Twilio
    (r"SG\.[\w-]{16,}\.[\w-]{16,}", ("SG.",)),
    (rf"npm_{_A}{{30,}}", ("npm_",)),
    (rf"pypi-{_W}{{16,}}", ("pypi-",)),
    (rf"hf_{_A}{{20,}}", ("hf_",)),
    (rf"gsk_{_A}{{20,}}", ("gsk_",)),
    (rf"r8_{_A}{{20,}}", ("r8_",)),
    (rf"(?:pplx|xai|tvly|csk|fw|nvapi|voyage|jina|pa|key)-{_W}{{20,}}", ("pplx-", "xai-", "tvly-", "csk-", "fw-", "nvapi-", "voyage-", "jina-", "pa-", "key-")),
    (rf"lsv2_(?:pt|sk)_{_W}{{16,}}", ("lsv2_",)),
    (rf"pcsk_{_W}{{20,}}", ("pcsk_",)),
    (rf"secret_{_A}{{40,}}", ("secret_",)),  # Notion
    (rf"pat{_A}{{14}}\.[0-9a-f]{{40,}}", ("pat",)),  # Airtable
    (rf"EAA{_A}{{40,400}}(?![A-Za-z0-9+/=])", ("EAA",)),  # Facebook; base64 of quiet sound begins so, too
    (r"[A-Za-z0-9]{14}\.atlasv1\.[\w-]{40,}", (".atlasv1.",)),
    (r"[\w~.-]{3}[0-9]Q~[\w~.-]{31,34}", ("Q~",)),  # Azure
    (r"dapi[0-9a-f]{32}", ("dapi",)),
    (r"do[opr]_v1_[0-9a-f]{32,}", ("_v1_",)),
    (r"[0-9a-f]{32}-us[0-9]{1,2}(?![0-9A-Za-z])", r"-us[0-9]"),  # Mailchimp
    (r"(?:bot)?[0-9]{8,10}:[\w-]{35}(?![\w-])", r":[\w-]{35}"),  # Telegram
    (r"[MNO][\w-]{23,27}\.[\w-]{6}\.[\w-]{27,40}", r"\.[\w-]{6}\.[\w-]{27}"),  # Discord
    (rf"shp(?:at|ca|pa|ss)_{_A}{{20,}}", ("shp",)),
    (r"(?:sq0[a-z]{3}-|EAAA)[\w-]{20,120}(?![\w+/=-])", ("sq0", "EAAA")),
    (rf"(?:sntrys|sbp|glsa|glc|lin_api|ntn|dckr_pat|rubygems|figd|pat)_{_W}{{20,}}", ("sntrys_", "sbp_", "glsa_", "glc_", "lin_api_", "ntn_", "dckr_pat_", "rubygems_", "figd_", "pat_")),
    (r"(?:PMAK|NRAK|ATATT3|hvs\.|hvb\.|dp\.[a-z]{2,5}\.)[\w.-]{16,}", ("PMAK", "NRAK", "ATATT3", "hvs.", "hvb.", "dp.")),
    (r"AccountKey=(?P<value>[A-Za-z0-9+/=]{40,})", ("AccountKey=",)),
    (r"AGE-SECRET-KEY-[0-9A-Z]{40,}", ("AGE-SECRET",)),
    (r"discord(?:app)?\.com/api/webhooks/[0-9]+/(?P<value>[\w-]{40,})", ("/api/webhooks/",)),
    (r"\$(?:2[aby]|apr1|argon2(?:id|i|d)|y|5|6)\$[^\s\"'<>:]{20,}", r"\$(?:2[aby]|apr1|argon2(?:id|i|d)|y|5|6)\$"),  # hashes of passwords
)  # fmt: skip

_PRIVATE_KEY = (
    r"-----BEGIN[ A-Z]*PRIVATE KEY( BLOCK)?-----[\s\S]*?(?:-----END[ A-Z]*PRIVATE KEY( BLOCK)?-----|\Z)"
)
_URL_PASSWORD = r"[a-zA-Z][a-zA-Z0-9+.-]{1,20}://[^\s:/@\"'<>]{0,200}:(?P<value>[^\s/@\"'<>]{1,200})@"
_QUERY = r"(?<=[?&;])(?:[\w.-]*[_.-])?(?i:key|token|sig|signature|secret|password|pwd|auth)=(?P<value>(?=[^\s&#\"'<>]*[0-9A-Z])[^\s&#\"'<>]{6,})"
_WORDS = (
    "password|passwd|passphrase|passcode|pwd|secret|api[ _-]?key|apikey|access[ _-]?key|private[ _-]?key|"
    "client[ _-]?secret|auth[ _-]?token|access[ _-]?token|refresh[ _-]?token|security[ _-]?token|session[ _-]?token|"
    "authorization|credentials"
)
# what lets its holder in for once: of a login, a reset, an invitation
_CODE = r"(?<=[?&])(?i:code|ticket|otp)=(?P<value>(?=[^\s&#\"'<>]*[0-9])(?=[^\s&#\"'<>]*[A-Za-z])[^\s&#\"'<>]{20,})"
_LINK = r"(?<=/)(?i:reset-?password|password-?reset|magic-?link|verify(?:-?email)?|invite|invitation)/(?P<value>(?=[\w.-]*[0-9])[\w.-]{20,})"
# after an option of a command line: --api-key VALUE, curl -u user:VALUE
_OPTION_WORD = r"-(?<![\w-].)-?(?i:(?:[a-z]+-)*(?:[a-z]*pass|pwd|secret|api|access|private|client|auth|refresh|credential|token))"
_OPTION = rf"-(?<![\w-].)-?(?i:(?:[a-z]+-)*(?:{_WORDS}|[a-z]*pass|token|secret-key)(?:=|\s+|[\"'],\s*)[\"']?)(?P<value>(?=[^\s\"']*[0-9A-Z])[^\s\"'<>-][^\s\"'<>]{{5,}})"
_LOGIN = r"(?:u|-user)[ =][\"']?[A-Za-z][\w.@+-]{0,80}:(?P<value>(?!//)[^\s\"'<>]{4,})"
_CURL = rf"(?<![\w-])curl\s[^\n]{{0,200}}?-{_LOGIN}"
_USER = rf"-(?<![\w-].){_LOGIN}"

# folded: in lower case, as is the text
_BEARER = (
    r"(?<![a-z])(?:bearer|basic|token|negotiate|auth plain|auth login)\s+(?P<value>[a-z0-9+/._~=-]{16,})"
)
# NAME=value, percent-encoded
_ENCODED = rf"(?:{_WORDS})(?:%(?:25)*22)?(?:%(?:25)*3[ad])(?:%(?:25)*2[02]|\+)*(?P<value>(?!%)[^\s\"'<>&%]{{4,}}(?:%[0-9a-f]{{2}}[^\s\"'<>&%]+)*)"
_COOKIE = r"(?<![a-z-])cookie[\"']?\s*[:=]\s*[\"']?(?P<value>[\w.-]{1,60}=[^\s\"'<>;,]{2,}(?:;\s*[\w.-]{1,60}=[^\s\"'<>;,]+)*)"
_SET_COOKIE = r"(?<![a-z-])set-cookie[\"']?\s*[:=]\s*[\"']?[\w.-]{1,60}=(?P<value>[^\s\"'<>;,]{6,})"
_ELEMENT = rf"(?:<|&lt;)(?P<element>(?:\w+:)?(?:{_WORDS}|token)(?:\s[^<>&]{{0,80}})?)(?:>|&gt;)\s*(?:<!\[cdata\[)?(?P<value>(?!&lt;)[^<>\s](?:(?!&lt;)[^<>]){{2,200}}?)(?:\]\]>)?\s*(?:<|&lt;)/"
_QUOTE = r"[\"']"
_BEFORE = "|".join(
    (
        r"sshpass\s+-p\s*",
        r"wifi:[^\n]{0,80}?;p:",
        r"nickserv\s+identify\s+",
        r"identified\s+by\s+",
        rf"name={_QUOTE}(?:password|passwd|token|secret|api_?key){_QUOTE}\s+",
        rf"(?:password|passwd|secret|(?<!max.)token|authorization|(?<=(?:api|ess|ate).)key){_QUOTE}?\s*,?\s*{_QUOTE}?value{_QUOTE}?\s*[:=]\s*",  # a pair
        rf"type={_QUOTE}password{_QUOTE}[^<>]{{0,120}}?value=",
        r"set\s+-\w+\s+\w{0,40}(?:key|token|secret|password)\s+",  # fish
        r"mysql\w*\s(?:[^\n]{0,120}?\s)?-p(?!\s)",
        r"docker\s+login\s[^\n]{0,120}?-p\s+",
        r"login\s+\S{1,80}\s+password\s+(?=[^\s\"'<>]*\d)",
        r"machine\s+\S{1,200}\s+login\s+\S{1,80}\s+password\s+",  # netrc
        r"(?<![^\r\n])pass\s(?=\S*[a-z])(?=\S*\d)(?=\S{6,})",  # FTP
        rf"(?:password|token|secret|key){_QUOTE}\s*\{{\s*default\s*=\s*",  # Terraform
        rf"(?:auth\s?=|credentials:?)\s?\(\s?{_QUOTE}[^\"'\n]{{0,80}}{_QUOTE},\s?(?={_QUOTE})",
        r"digest\s[^\n]{0,300}?response=",
        rf"signature(?:-\d+)?{_QUOTE}?\s*:\s*(?:sha\d+=|v\d=)?(?=[a-z0-9+/=_-]{{20}})",
    )
)
"""What stands before a secret elsewhere: in commands, configuration, markup, headers, code."""
_ELSEWHERE = rf"(?:{_BEFORE}){_QUOTE}?(?P<value>[^\s\"'<>]{{4,}})"
_ELSEWHERE_BEGINS = (
    *(
        "sshpass",
        "machine",
        "pass",
        "identified",
        "name=",
        "type=",
        "set ",
        "mysql",
        "docker",
        "login",
        "password",
        "token",
    ),
    *("secret", "key", "auth", "credentials", "digest", "signature"),
)
_ORACLE = r":thin:\w{1,40}/(?P<value>[^\s\"'<>@]{3,})@"
_BASE64 = r"(?<![A-Za-z0-9+/_=-])[A-Za-z0-9+/_-]{24,8192}={0,2}(?![A-Za-z0-9+/_=-])"


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


def _holds_secret(text: str) -> bool:
    """Whether it is Base64 of a text with a secret. Nearly nothing that looks like Base64 begins as a text."""
    if not _decoded(text[:24]).isascii():
        return False
    inside = SearchedText(_decoded(text))
    return any(rule.find(inside) for rule in RULES if rule.kind == "secret")


def _decoded(text: str) -> str:
    """What it is Base64 of, in either alphabet; � where that is no text."""
    whole = text.rstrip("=").translate(_URL_SAFE)
    whole = whole[: len(whole) // 4 * 4] if len(whole) % 4 == 1 else whole + "=" * (-len(whole) % 4)
    found = base64.b64decode(whole).decode("utf-8", "replace")
    return "�" if any(char < " " and char not in "\n\r\t" for char in found) else found


_URL_SAFE = str.maketrans("-_", "+/")


def _key(pattern: str, needles: tuple[str, ...] | str) -> RedactionRule:
    check = _mixed if pattern.startswith(("(?:sk|pk|rk)-", "(?:pplx|")) else None
    first = re.compile(needles) if isinstance(needles, str) else needles
    return RedactionRule("secret", re.compile(_START + pattern), first, check, "long")


def _named(
    pattern: str, needles: tuple[str, ...], check: Callable[[str], bool] | None = None
) -> RedactionRule:
    """A secret behind a word that tells of it; a match begins with one of the needles."""
    return RedactionRule("secret", re.compile(pattern), needles, check, folded=True, begins=True)


_IBAN_BEGINS = re.compile(r"[A-Z](?<![A-Za-z0-9].)[A-Z][0-9]{2}")

RULES: tuple[RedactionRule, ...] = (
    *(_key(pattern, needles) for pattern, needles in _KEYS),
    RedactionRule("secret", re.compile(_START + _PRIVATE_KEY), ("-----BEGIN",)),
    RedactionRule("secret", re.compile(_URL_PASSWORD), re.compile(r"://[^\s/@\"'<>]*@"), place="word"),
    RedactionRule("secret", re.compile(_QUERY), ("=",), place="long"),
    RedactionRule("secret", re.compile(_CODE), re.compile(r"(?i:code|ticket|otp)="), place="long"),
    RedactionRule("secret", re.compile(_LINK), re.compile(r"/(?i:reset|password|magic|verify|invit)"), place="long"),
    RedactionRule("secret", re.compile(_ORACLE), (":thin:",), place="long"),
    RedactionRule("secret", re.compile(_OPTION), re.compile(_OPTION_WORD)),
    RedactionRule("secret", re.compile(_CURL), ("curl",)),
    RedactionRule("secret", re.compile(_USER), re.compile(r"-(?<![\w-].)(?:u|-user)(?:=|$)", re.MULTILINE)),
    _named(_BEARER, ("bearer", "basic", "token", "negotiate", "auth"), _credential),
    *LABELLED,
    RedactionRule("secret", re.compile(_ENCODED), re.compile("%(?:25)*3[ad]"), folded=True),
    _named(_COOKIE, ("cookie",)),
    _named(_SET_COOKIE, ("set-cookie",)),
    RedactionRule("secret", re.compile(_ELEMENT), ("</", "&lt;/"), folded=True),
    _named(_ELSEWHERE, _ELSEWHERE_BEGINS),
    RedactionRule("secret", re.compile(_BASE64), (), _holds_secret, "long"),
    RedactionRule(
        "email",
        re.compile(r"(?<![\w.+%-])[\w.+%-]+?(?:@|%40)(?:[A-Za-z0-9-]+\.)+[A-Za-z]{2,24}(?![A-Za-z0-9])"),
        ("@", "%40"),
        place="word",
    ),
    # in groups only in capitals, so that the word after it is not taken for a part of it
    RedactionRule("iban", re.compile(r"[A-Z](?<![A-Za-z0-9].)[A-Z][0-9]{2}(?: ?[A-Z0-9]{4}){2,7}(?: ?[A-Z0-9]{1,3})?(?![A-Za-z0-9])"), _IBAN_BEGINS, iban),
    RedactionRule("iban", re.compile(r"[A-Za-z](?<![A-Za-z0-9].)[A-Za-z][0-9]{2}[A-Za-z0-9]{11,30}(?![A-Za-z0-9])"), (), iban, "long"),
    RedactionRule("card", re.compile(r"[0-9](?<![\w-].)(?<![0-9]\..)[ -]?(?:[0-9][ -]?){11,17}[0-9](?![\w-]|\.[0-9])"), (), luhn, "number"),
    RedactionRule("ssn", re.compile(r"[0-9](?<![\w-].)(?<![0-9]\..)[0-9]{2}-[0-9]{2}-[0-9]{4}(?![\w-]|\.[0-9])"), ("-",), place="long"),
    RedactionRule("phone", re.compile(r"\+(?<![\w+].)[0-9](?:[ ().\-/]{0,2}[0-9]){7,14}(?![0-9])"), ("+",), phone),
    RedactionRule("phone", re.compile(r"[(2-9](?<![\w-].)(?<![0-9]\..)(?:(?<=\()[2-9]|(?<=[2-9]))[0-9]{2}\)?[ .-] ?[0-9]{3}[ .-][0-9]{4}(?![\w-]|\.[0-9])"), place="number"),
    RedactionRule("phone", re.compile(r"0(?<![\w:-].)(?<![0-9]\..)[1-9][0-9]{1,4}[ /-][0-9]{3,8}(?:[ -][0-9]{2,6})?(?![\w:-]|\.[0-9])"), (), phone),
    RedactionRule(
        "ip",
        re.compile(r"[0-9](?<!\w.)(?<![0-9]\..)(?:(?:(?<=2)5[0-5]|(?<=2)[0-4][0-9]|(?<=1)[0-9][0-9]|[0-9])?\.)(?:(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])\.){2}(?:25[0-5]|2[0-4][0-9]|1?[0-9]?[0-9])(?![\w]|\.[0-9])"),
        (".",),
        address,
        "word",
    ),
    RedactionRule("ip", re.compile(r"(?<![\w:])(?:[0-9a-fA-F]{0,4}:){2,7}[0-9a-fA-F]{0,4}(?![\w:])"), re.compile(r":[0-9a-fA-F]{0,4}:"), address, "word"),
)  # fmt: skip


@lru_cache
def rules_of(kinds: frozenset[str] | None) -> tuple[tuple[RedactionRule, ...], tuple[RedactionRule, ...]]:
    """Our rules of these kinds, and those of them that a text of short words needs."""
    rules = tuple(rule for rule in RULES if kinds is None or rule.kind in kinds)
    return rules, tuple(rule for rule in rules if rule.place != "long")
