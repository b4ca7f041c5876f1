"""Secrets that only what stands before them tells: a name and a sign, a word in a sentence, a command.

The name before a sign such as ``=`` is read by `simulate.model.secret_names`, as JSON keys and headers are.
"""

# ruff: noqa: E501 - a pattern that is broken over lines is harder to read than a long one

from __future__ import annotations

import re

from simulate.model.secret_names import FOREIGN, fits, secret_kind
from simulate.trace.redaction.searched import RedactionRule

_QUOTE = r"(?:\\?[\"'`]|&quot;|&#3[49];)"

# -- a name, a sign and a value --------------------------------------------------------------------------

_STEMS = (
    *("pass", "pwd", "psk", "secret", "key", "token", "auth", "credential", "cookie", "bearer", "pin", "otp"),
    *("code", "mnemonic", "phrase", "sess", "sid", "sig", "pw", *(word.split()[-1] for word in FOREIGN)),
)
"""Every name of a secret holds one of these."""
_SIGN = (
    r"\s*(?::\s*[&\w<>\[\]?.]{1,30}\s*=(?!>)|=>|->|→|:=|[:=]|&#61;|%(?:25)*3d)\s*"
    r"|\s+(?:value|content)\s*=\s*|\s*\{\s*(?:default|value)\s*=\s*|</key>\s*<string>"
    rf"|(?<=[\"'`])\s?(?P<next>,)\s?(?=[@bfnru]?{_QUOTE})|\s?(?P<call>\()\s?(?={_QUOTE})"
    r"|(?:(?<=_key)|(?<=[_-]token)|(?<=password))(?P<space>\s)(?=\S{12})"
)
_NAMED = (
    rf"(?P<name>(?:{'|'.join(_STEMS)})[\w.-]{{0,40}})(?P<close>(?:\s?{_QUOTE}|[\])])*)(?:{_SIGN})"
    rf"(?:[|>][+-]?\s*\n\s+)?(?:[@bfnru]?{_QUOTE}|\[\[)?"
    r"(?P<scheme>(?:bearer|basic|token|digest|negotiate|ntlm|aws|api-?key|key)\s+)?"
)
_BEFORE = re.compile(r"(?:\b\w+ )?[\w.-]*\Z")
_VALUE = re.compile(
    r"(?:(?<=[\"'`])[^\"'`\s\\<>]{4,}(?=\\?[\"'`])"
    r"|(?![A-Za-z_][\w.]*(?:\([^\n]{0,99}\)|\[[^\n]{0,99}\]))"  # a call and no value
    r"(?:(?!&(?:[\w.-]{1,40}=|quot;|lt;|amp;))[^\s\"'`<>,;\\{}\[\]]){4,})"
)
_SPACED = re.compile(r"(?<=[\"'`])[^\"'`\n\\<>]{4,80}(?=[\"'`])")
_AUTHORIZATION = re.compile(r"(?:[A-Za-z][\w-]{1,20}\s+)?(?P<value>[^\s\"'<>]{8,})")
_LOOK = 256
"""Characters of a value that tell whether it is a secret: names and signs in a row (``a_key=a_key=…``) would take
the square of a text."""
_WEAK = frozenset({"sig", "signature", "sid", "sessionid", "pw"})
"""Names that hold a secret only before a value with digits."""


def _named_value(head: re.Match[str], text: str) -> tuple[int, int] | None:
    before = _BEFORE.search(text, max(0, head.start() - 60), head.start())
    name = (before[0] if before else "") + text[slice(*head.span("name"))]
    kind = secret_kind(name)
    weak = not kind and "=" in head[0] and re.split(r"[\W_]", name.lower())[-1] in _WEAK
    value = _VALUE.match(text, head.end(), head.end() + _LOOK) if kind or weak else None
    if value is None or _NOTHING.fullmatch(value[0]) or _is_code(value[0], head["name"]):
        return None
    has_digit = any(char.isdigit() for char in value[0])
    if head["space"]:
        sure = has_digit and re.search(r"[_-]", head["name"]) is not None and fits("token", value[0])
    elif head["next"] or head["call"] or weak:
        sure = has_digit and fits("token", value[0])
    elif name.lower().endswith("authorization") and not head["scheme"]:
        value = _AUTHORIZATION.match(text, head.end(), head.end() + _LOOK) or value
        told = value["value"] if "value" in value.re.groupindex else ""
        return _whole(value, text) if fits("token", told) else None
    elif kind == "secret" and not name.lower().endswith(("authorization", "cookie", "cookies")):
        spaced = _SPACED.match(text, head.end()) if "=" in head[0] or head["close"] else None
        return _whole(spaced or value, text)
    else:
        upper = any(char.isupper() for char in value[0][1:])
        sure = (has_digit or upper) and fits("token" if kind == "secret" else kind, value[0])
        sure = sure or (kind == "token" and "=" in head[0] and len(value[0]) >= 8 and has_digit)
    return _whole(value, text) if sure or head["scheme"] else None


def _whole(value: re.Match[str], text: str) -> tuple[int, int]:
    """Where a secret stands, with what lies beyond the characters that were looked at."""
    cut_off = value.end() == value.endpos < len(text)
    found = (value.re.match(text, value.start()) if cut_off else None) or value
    return found.span("value" if "value" in found.re.groupindex else 0)


_NOTHING = re.compile(
    r"(?i:true|false|none|null|nil|undefined|required|optional|env:\w*|str|bytes|string|bool|int|any)\W*"
)


def _is_code(value: str, name: str) -> bool:
    """Whether a variable is named, and not what is in it: ``api_key=self.api_key``."""
    return _IDENTIFIER.fullmatch(value) is not None and value.rstrip(_CLOSING).lower().endswith(
        name.strip("_")
    )


_CLOSING = ")]}.:*"
_IDENTIFIER = re.compile(r"[A-Za-z_.]+[)\]}.:*]*")


# -- a word in a sentence --------------------------------------------------------------------------------

_PASSWORD = ("password", "passwd", "passphrase", "passcode", *FOREIGN)
_FIRST = tuple(word.split()[0] for word in _PASSWORD)
_CODES = "pin|otp|(?:verification|security|recovery|access|login|one-time|einmal) ?code"
_OTHERS = "secret|credentials?|api[ -]?key|access key|private key|token(?!s)"
_IS = r"(?:,?\s(?:c'est|is|was|ist|war|lautet|est|était|es|era|è|é|jest|to|är|er|on|это)\s|\s?[是为はは는은]\s?|:\s?|\s-\s)"
_OF = r"(?:\s(?:for|of|to|on|für|pour|de|para)\s(?:the\s|my\s|your\s)?[\w'.-]{1,30})?"
_SPOKEN = (
    rf"(?:(?:{'|'.join(_PASSWORD)})(?:\s(?!length|limit|policy|age)[a-z]{{2,8}}){{0,2}}|clave|{_CODES}|{_OTHERS}){_OF}{_IS}[\s:]*[\"'“`]?"
    r"(?P<value>(?=[^\s\"]*\d)[^\s\"'<>,;\\]{3,40}[^\s\"'<>,;\\.?!])"
)
_QUOTED = (
    rf"(?:{'|'.join(_PASSWORD)}|{_OTHERS})\s+[\"'“`](?P<value>(?=[^\s\"'”`]*\d)[^\s\"'”`<>]{{6,80}})[\"'”`]"
)
_SAID_AFTER = (
    r"(?<!\S)[\"'`]?(?P<value>(?=\S*\d)[^\s\"'`<>,;]{4,80})[\"'`]?\s(?:is|was|ist|est|es)\s(?:[\w']{2,12}\s){1,3}?"
    rf"(?:{'|'.join(_PASSWORD)}|{_CODES}|{_OTHERS})(?![\w-])"
)
_CODE = rf"(?:{_CODES})\s(?P<value>\d{{4,8}})(?!\w|\.\d)"
_SPOKEN_BEGINS = (
    *(*_FIRST, "clave", "pin", "otp", "verification", "security", "recovery", "access", "login", "one-time"),
    *("secret", "credential", "api", "private", "token"),
)
_NEAR = rf"{'|'.join(_PASSWORD)}|securestring|sudo -s|login:|(?:this|the|my|your|our|for) key|{_OTHERS}"
_NEAR_BEGINS = (
    *_FIRST,
    "login",
    "this",
    "the",
    "my",
    "your",
    "our",
    "for",
    "secure",
    "sudo",
    "secret",
    "credential",
    "api",
    "access",
    "private",
    "token",
)
_WORD = re.compile(r"[^\s\"'`<>,;()|\\=]{8,80}|(?P<end>[.!?]\s)")
_FAR = 60
"""Characters between a word and what looks like a password."""


def _near_value(head: re.Match[str], text: str) -> tuple[int, int] | None:
    """The next word that looks like nothing but a password, before the sentence ends."""
    for word in _WORD.finditer(text, head.end(), head.end() + _FAR + 80):
        if word["end"] or word.start() > head.end() + _FAR:
            return None
        if _is_made_up(word[0]):
            return word.span()
    return None


def _is_made_up(word: str) -> bool:
    """Letters of both cases and digits, mixed as in no name, version, address or id."""
    bare = word.rstrip(".:!?")
    if _ORDINARY.search(bare) or not (_LOWER.search(bare) and _UPPER.search(bare)):
        return False
    return len(_MIXED.findall(bare)) >= 2 or (_SIGNS.search(bare) is not None and any(map(str.isdigit, bare)))


_ORDINARY = re.compile(r"^[a-z]{2,12}[_-]|://|\d\.\d|\.[a-z]{2,5}$|^/|\d:\d|^\W|^[A-Z][a-z]+-\d")
_LOWER, _UPPER = re.compile("[a-z]"), re.compile("[A-Z]")
_MIXED, _SIGNS = re.compile(r"[A-Za-z][0-9]|[0-9][A-Za-z]"), re.compile("[!#$%&*@^]")

# -- commands and files ----------------------------------------------------------------------------------

_COMMANDS = "|".join(
    (
        r"(?:redis-cli\s(?:[^\n|]{0,120}?\s)?-a|mongo\w*\s(?:[^\n|]{0,120}?\s)?-p|az\slogin\s[^\n|]{0,120}?-p)\s",
        r"(?:ldap\w+\s[^\n|]{0,120}?-w|(?:plink|pscp|psftp)\s(?:[^\n|]{0,120}?\s)?-pw)\s",
        r"(?:unzip|zip|sqlcmd)\s(?:[^\n|]{0,120}?\s)?-p\s(?=\S*[^\w\s.]|\S*\d)(?!\S*\.zip)|7z\w?\s[^\n|]{0,120}?\s-p(?!\s)",
        r"(?:https?|curl|wget)\s(?:[^\n|]{0,160}?\s)?(?:-a|--auth)[ =][\"']?[\w.@+-]{1,80}:",
        r"curl\s(?:[^\n|]{0,160}?\s)?(?:-b|--cookie)[ =][\"']?[\w.-]{1,60}=",
        r"net\suse\s[^\n]{0,120}?/user:\S{1,80}\s",
    )
)
_HTTP = ("http", "curl", "wget", "net")
_COMMAND = rf"(?:{_COMMANDS})[\"']?(?P<value>[^\s\"'<>;]{{4,}})"
_USER = r"-u[ =]\S{1,80}\s-p[ =](?=\S*[^\w\s.:/-]|\S*[a-z]\S*\d)[\"']?(?P<value>[^\s\"'<>;:/]{4,})(?!\S)"
_LOGIN = re.compile(
    r"(?<![\w/:.-])[A-Za-z][\w.-]{0,40}:(?P<value>(?=[^\s@]{0,80}?\d)[^\s/@:\"'<>]{4,80})@[A-Za-z][\w.-]{0,80}(?::\d{2,5}|\.[a-z]{2,10})(?!\w)"
)
_PIPED = (
    r"echo\s+[\"']?(?P<value>[^\s\"'|<>]{4,})[\"']?\s*\|\s*"
    r"(?:sudo\s-s|chpasswd|[^\n|]{0,80}?(?:passw(?:or)?d|-stdin|--with-token))"
)
_PGPASS = re.compile(
    r"^(?:\*|[\w-]*[A-Za-z][\w.-]*|[\d.]+):(?:\*|\d{3,5}):(?:\*|[A-Za-z_][\w-]*):[\w*.-]+:(?P<value>[^\s:]{6,})$",
    re.MULTILINE,
)
_PATH = re.compile(
    r"(?<![\w-])(?i:tokens?|keys?|secrets?|api-?keys?|auth|(?:web)?hooks?\w{0,8})/(?:[\w@.-]{1,80}/){0,4}?"
    r"(?P<value>(?=[\w.-]*[A-Za-z0-9]{16})(?=[\w.-]*\d)(?=[\w.-]*[A-Za-z])[\w.-]{16,})"
)


def _rule(pattern: str, begins: tuple[str, ...]) -> RedactionRule:
    """A secret behind a word that tells of it; a match begins with one of the needles."""
    return RedactionRule("secret", re.compile(pattern), begins, folded=True, begins=True)


LABELLED: tuple[RedactionRule, ...] = (
    RedactionRule("secret", re.compile(_NAMED), _STEMS, folded=True, begins=True, value_of=_named_value),
    RedactionRule("secret", re.compile(_NEAR), _NEAR_BEGINS, folded=True, begins=True, value_of=_near_value),
    _rule(_SPOKEN, _SPOKEN_BEGINS),
    _rule(_QUOTED, _SPOKEN_BEGINS),
    _rule(_CODE, _SPOKEN_BEGINS),
    RedactionRule("secret", re.compile(_SAID_AFTER), (*_FIRST, "pin", "otp", "code", "token"), folded=True),
    RedactionRule("secret", _LOGIN, re.compile(r":[^\s/@:]{4,80}@"), place="word"),
    _rule(
        _COMMAND,
        (
            "redis-cli",
            "mongo",
            "az",
            "ldap",
            "plink",
            "pscp",
            "psftp",
            "unzip",
            "zip",
            "sqlcmd",
            "7z",
            *_HTTP,
        ),
    ),
    _rule(_PIPED, ("echo",)),
    _rule(_USER, ("-u",)),
    RedactionRule("secret", _PGPASS, re.compile(r":(?:\*|\d{3,5}):"), place="long"),
    RedactionRule("secret", _PATH, re.compile(r"(?i:tokens?|keys?|secrets?|auth|hook\w*)/"), place="long"),
)
