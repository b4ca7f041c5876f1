"""How many secrets the one rule set finds where people and programs leave them, and how much else it hides.

    python -m benchmarks.secret_placements

Every secret stands in every placement: in headers, addresses, code, prose, forms, markup, JSON, encoded. A
placement counts as found when nothing of the secret is left. Look-alikes (order numbers, hashes, versions,
ids, times, prices) must stay as they are.
"""

from __future__ import annotations

import base64
import json
import random
import sys
import urllib.parse
from collections import Counter
from collections.abc import Callable
from pathlib import Path

from simulate.trace.redaction.mask import SecretMask

SHAPED = {
    "openai": "sk-proj-Ab3dEf6hIj9kLm2nOp5qRs8t",
    "github": "ghp_16C7e42F292c6912E7710c838347Ae178B4a",
    "aws": "AKIAIOSFODNN7EXAMPLQ",
    "slack": "xoxb-2048-4096-AbCdEf123456",
    "jwt": "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.dozjgNryP4J3jVmNHl0w5N_XgL0n3I9P",
    "google": "AIzaSyD4x9Ab3dEf6hIj9kLm2nOp5qRs8tUv1",
}
"""Recognised by their own shape, wherever they stand."""
WRITTEN_LATER = Path(__file__).parent / "data" / "secrets.jsonl"
"""Further placements, by somebody who did not look at the rules: where, the text, and what must go of it."""
LOOK_ALIKES_WRITTEN_LATER = WRITTEN_LATER.with_name("look_alikes.txt")
PLAIN = {
    "mixed": "f3bQ81nvAz0pLk2xYt7",
    "hex": "9f86d081884c7d659a2feaa0c55ad015",
    "password": "hunter2-Correct9",
    "digits": "8841729305",
}
"""Only their name or their place tells what they are."""
Placement = Callable[[str], str]
ANYWHERE: dict[str, Placement] = {
    "prose": lambda s: f"I think the value is {s}, please check",
    "quoted": lambda s: f'he wrote "{s}" to me',
    "json value": lambda s: json.dumps({"note": f"use {s}"}),
    "json key": lambda s: json.dumps({s: True}),
    "json in json": lambda s: json.dumps({"arguments": json.dumps({"q": s})}),
    "path": lambda s: f"https://api.example.com/hooks/{s}/send",
    "markdown": lambda s: f"run it with `{s}`",
    "error": lambda s: f"Incorrect API key provided: {s}. You can find yours at /account",
    "percent": lambda s: "q=" + urllib.parse.quote(f"key {s}"),
    "line of a list": lambda s: f"- one\n- {s}\n- three",
}
NAMED: dict[str, Placement] = {
    "env": lambda s: f"export API_TOKEN={s}",
    "env key": lambda s: f"OPENAI_API_KEY={s} python agent.py",
    "dotenv": lambda s: f"DB_PASSWORD={s}\nDEBUG=1",
    "yaml": lambda s: f"db:\n  password: {s}\n",
    "toml": lambda s: f'api_key = "{s}"',
    "python": lambda s: f'client = Client(api_key="{s}", timeout=3)',
    "javascript": lambda s: f"const password = '{s}';",
    "json": lambda s: json.dumps({"password": s, "user": "mara"}),
    "json nested": lambda s: json.dumps({"auth": {"access_token": s}}),
    "json camel": lambda s: json.dumps({"refreshToken": s}),
    "option": lambda s: f"agent --api-key {s} --verbose",
    "option equals": lambda s: f"agent --password={s}",
    "option list": lambda s: f"['agent', '--token', '{s}']",
    "curl user": lambda s: f"curl -u admin:{s} https://example.com",
    "curl header": lambda s: f"curl -H 'Authorization: Bearer {s}' https://example.com",
    "header": lambda s: f"x-api-key: {s}",
    "cookie": lambda s: f"Cookie: sessionid={s}; theme=dark",
    "set-cookie": lambda s: f"Set-Cookie: sid={s}; Path=/; HttpOnly",
    "query token": lambda s: f"https://example.com/x?token={s}&q=weather",
    "query key": lambda s: f"https://example.com/x?q=1&api_key={s}",
    "query signature": lambda s: f"https://bucket.example.com/f?X-Amz-Signature={s}&x=1",
    "query sig": lambda s: f"https://example.com/f?sv=2022&sig={s}",
    "userinfo": lambda s: f"postgres://app:{s}@db.example.com:5432/shop",
    "basic": lambda s: "Authorization: Basic " + base64.b64encode(f"app:{s}".encode()).decode(),
    "element": lambda s: f"<login><user>mara</user><password>{s}</password></login>",
    "form": lambda s: f"username=mara&password={s}",
    "percent form": lambda s: urllib.parse.quote(f"user=mara&password={s}"),
    "prose is": lambda s: f"my password is {s}",
    "prose colon": lambda s: f"Passcode: {s}",
    "spaced": lambda s: f"token = '{s}'",
    "php": lambda s: f"'password' => '{s}',",
    "attribute": lambda s: f'<db user="app" password="{s}"/>',
    "proxy": lambda s: f"Proxy-Authorization: Bearer {s}",
    "auth token": lambda s: f"X-Auth-Token: {s}",
    "api key scheme": lambda s: f"Authorization: ApiKey {s}",
    "ini": lambda s: f"[default]\naws_secret_access_key = {s}\n",
    "connection": lambda s: f"Server=db;User Id=app;Password={s};Encrypt=yes",
    "sql": lambda s: f"CREATE USER app IDENTIFIED BY '{s}'",
    "sshpass": lambda s: f"sshpass -p '{s}' ssh app@example.com",
    "graphql": lambda s: f'mutation {{ login(user: "mara", password: "{s}") {{ id }} }}',
    "repr": lambda s: repr({"client_secret": s}),
    "headers": lambda s: json.dumps({"headers": {"x-api-key": [s]}}),
    "multipart": lambda s: f'Content-Disposition: form-data; name="password"\r\n\r\n{s}\r\n--x',
    "fragment": lambda s: f"https://example.com/cb#access_token={s}&state=1",
    "german": lambda s: f"das Passwort lautet {s}",
}


def look_alikes() -> list[str]:
    """What must stay: at least a hundred texts without any secret."""
    chance = random.Random(7)

    def digits(number: int) -> str:
        return "".join(chance.choices("0123456789", k=number))

    def hexes(number: int) -> str:
        return "".join(chance.choices("0123456789abcdef", k=number))

    made: list[str] = []
    for _ in range(8):
        made += [
            f"your order ORD-{digits(6)} is on its way",
            f"commit {hexes(40)} fixes it",
            f"sha256:{hexes(64)}",
            f"python {digits(1)}.{digits(2)}.{digits(1)}+cu{digits(3)}",
            f"trace {hexes(32)} span {hexes(16)}",
            f"call_{hexes(24)} returned",
            json.dumps({"input_tokens": int(digits(4)), "max_tokens": 512, "token_count": 7}),
            f"https://shop.example.com/items/{digits(8)}?page=2&sort=price&ref={digits(5)}",
            f"tracking number 1Z{digits(6)}X{digits(8)}",
            f"invoice {digits(4)}-{digits(4)} over ${digits(3)}.{digits(2)}",
            f"2026-01-{digits(1)}1T10:0{digits(1)}:00Z request {hexes(8)}-{hexes(4)}-4{hexes(3)}",
            f"model gpt-4.1-mini-2025-04-1{digits(1)} with temperature=0.{digits(1)}",
            f"simulate run --seed {digits(3)} --trials 4 --out run-{digits(4)}",
        ]  # fmt: skip
    made += [
        "the password is not accepted",
        "please reset your password: open the settings",
        "token: the",
        "a secret is safe",
        "sk-learn-pipeline",
        "next_page_token",
        "authorization: approved",
        "the api key is missing",
        "PIN is required",
        "docker run -u root image",
        "git log --author=mara",
        "password=\n",
        "--token-limit 500",
        "basic understanding",
        "https://shop.example.com/items?code=SUMMER25&page=2",
        "https://shop.example.com/invite/friends",
        "the token 'hello' came first",
        "login mara password required",
        "docker run -p 8080:80 image",
        "mysql -u root -p shop",
        "SW50ZXJuYXRpb25hbCBzaGlwcGluZyB0YWtlcyBhIHdlZWs=",
        "auth=('mara', None)",
        "signature: see page 12 of the contract",
        "it cost $5$ and then some more words follow",
    ]
    return made + LOOK_ALIKES_WRITTEN_LATER.read_text("utf-8").splitlines()


def measure() -> tuple[Counter[str], Counter[str], list[str], list[str]]:
    """Found and all, by placement; what was missed, and what was hidden without need."""
    mask = SecretMask()
    found, asked = Counter[str](), Counter[str]()
    missed: list[str] = []
    for placements, secrets in ((ANYWHERE, SHAPED), (NAMED, SHAPED | PLAIN)):
        for where, place in placements.items():
            for name, secret in secrets.items():
                text = place(secret)
                shown = mask.text(text)
                whole = base64.b64encode(f"app:{secret}".encode()).decode()
                left = any(part in shown for part in (secret, urllib.parse.quote(secret), whole))
                asked[where] += 1
                found[where] += not left
                if left:
                    missed.append(f"{where}, {name}: {text!r}")
    for line in WRITTEN_LATER.read_text("utf-8").splitlines():
        each = json.loads(line)
        shown = mask.text(each["text"])
        left = shown == each["text"] or (each["secret"] or "\0") in shown
        asked["written later"] += 1
        found["written later"] += not left
        if left:
            missed.append(f"{each['where']}: {each['text']!r}")
    hidden = [text for text in look_alikes() if mask.text(text) != text]
    return found, asked, missed, hidden


def main() -> int:
    found, asked, missed, hidden = measure()
    for where, count in asked.items():
        print(f"{where:<18}{found[where]:>4} of {count}")
    number = len(look_alikes())
    print(f"recall       {sum(found.values()) / sum(asked.values()):.1%} of {sum(asked.values())} placements")
    print(f"false rate   {len(hidden) / number:.1%} of {number} look-alikes")
    for text in missed:
        print(f"missed: {text}", file=sys.stderr)
    for text in hidden:
        print(f"hidden without need: {text!r} → {SecretMask().text(text)!r}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
