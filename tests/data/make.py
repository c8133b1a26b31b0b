#!/usr/bin/env python3
"""Makes corpus.json: tokens, the keys they are judged with, and what must be said of each.

    python3 -m pip install cryptography
    python3 tests/data/make.py

keys.json keeps the private keys, so that another run changes what was changed here and the
signatures that are random by nature (RSA-PSS). Delete it for new keys. They guard nothing.
"""

import base64
import hashlib
import hmac
import json
import pathlib

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, padding, rsa, utils

HERE = pathlib.Path(__file__).parent
NOW = 1_800_000_000
SECRET = b"a secret of thirty-two bytes, ok"
HASHES = {"256": hashes.SHA256, "384": hashes.SHA384, "512": hashes.SHA512}
CURVES = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1, "secp256k1": ec.SECP256K1}


def b64(data):
    if isinstance(data, str):
        data = data.encode()
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


def unb64(text):
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))


def number(value, size=None):
    return b64(value.to_bytes(size or (value.bit_length() + 7) // 8, "big"))


def integer(text):
    return int.from_bytes(unb64(text), "big")


# ---- keys ------------------------------------------------------------------------------------


def new_rsa(bits, e=65537):
    key = rsa.generate_private_key(e, bits) if bits >= 1024 else None
    n = key.private_numbers()
    pub = n.public_numbers
    return {"kty": "RSA", "n": number(pub.n), "e": number(pub.e), "d": number(n.d),
            "p": number(n.p), "q": number(n.q), "dp": number(n.dmp1), "dq": number(n.dmq1),
            "qi": number(n.iqmp)}


def new_ec(curve):
    n = ec.generate_private_key(CURVES[curve]()).private_numbers()
    size = (CURVES[curve].key_size + 7) // 8
    return {"kty": "EC", "crv": curve, "x": number(n.public_numbers.x, size),
            "y": number(n.public_numbers.y, size), "d": number(n.private_value, size)}


def new_ed():
    key = ed25519.Ed25519PrivateKey.generate()
    return {"kty": "OKP", "crv": "Ed25519", "x": b64(key.public_key().public_bytes_raw()),
            "d": b64(key.private_bytes_raw())}


def load_keys():
    path = HERE / "keys.json"
    if not path.exists():
        keys = {
            "rsa": new_rsa(2048), "rsa2": new_rsa(2048), "rsa3072": new_rsa(3072),
            "rsa4096": new_rsa(4096), "rsa1024": new_rsa(1024), "rsa-e3": new_rsa(2048, 3),
            "rsa2040": new_rsa(2040),
            "p256": new_ec("P-256"), "p256b": new_ec("P-256"), "p384": new_ec("P-384"),
            "k256": new_ec("secp256k1"), "ed": new_ed(), "ed2": new_ed(),
        }
        path.write_text(json.dumps(keys, indent=1) + "\n")
    return json.loads(path.read_text())


KEYS = load_keys()


def public(name, **more):
    hidden = ("d", "p", "q", "dp", "dq", "qi")
    jwk = {k: v for k, v in KEYS[name].items() if k not in hidden}
    return {**jwk, **more}


def rsa_private(k):
    pub = rsa.RSAPublicNumbers(integer(k["e"]), integer(k["n"]))
    return rsa.RSAPrivateNumbers(*(integer(k[m]) for m in ("p", "q", "d", "dp", "dq", "qi")),
                                 pub).private_key()


def ec_private(k):
    return ec.derive_private_key(integer(k["d"]), CURVES[k["crv"]]())


def sign(alg, key, text):
    if isinstance(text, str):
        text = text.encode()
    if alg.startswith("HS"):
        return hmac.new(key, text, getattr(hashlib, "sha" + alg[2:])).digest()
    k = KEYS[key]
    if alg.startswith("RS"):
        return rsa_private(k).sign(text, padding.PKCS1v15(), HASHES[alg[2:]]())
    if alg.startswith("PS"):
        h = HASHES[alg[2:]]()
        return rsa_private(k).sign(text, padding.PSS(padding.MGF1(h), h.digest_size), h)
    if alg.startswith("ES"):
        h = HASHES[alg[2:5]]()
        der = ec_private(k).sign(text, ec.ECDSA(h, deterministic_signing=True))
        r, s = utils.decode_dss_signature(der)
        size = 48 if alg == "ES384" else 32
        return r.to_bytes(size, "big") + s.to_bytes(size, "big")
    return ed25519.Ed25519PrivateKey.from_private_bytes(unb64(k["d"])).sign(text)


# ---- tokens ----------------------------------------------------------------------------------

ISS = "https://id.example.com"


def claims(iss=ISS, drop=(), **more):
    base = {"iss": iss, "sub": "ada", "aud": "attach", "exp": NOW + 600, "iat": NOW - 10,
            "scope": "chat:run"}
    return {k: v for k, v in {**base, **more}.items() if k not in drop}


def dump(value):
    return value if isinstance(value, (str, bytes)) else json.dumps(value, separators=(",", ":"))


def raw(header, payload, alg, key):
    """A token of exactly this header and payload (text or JSON)."""
    text = b64(dump(header)) + "." + b64(dump(payload))
    return text + "." + b64(sign(alg, key, text))


def token(payload=None, alg="ES256", key="p256", kid="p256", **header):
    head = {"alg": alg, **({} if kid is None else {"kid": kid}), **header}
    return raw(head, claims() if payload is None else payload, alg, key)


ROWS = []
OK = "accepted user=ada agent=- scope=chat:run"


def row(name, text, verdict, **more):
    assert all(r["name"] != name for r in ROWS), name
    ROWS.append({"name": name, "token": text, "verdict": verdict, **more})


def bad(name, text, why, **more):
    row(name, text, "invalid_token: " + why, **more)


TOO_LARGE = "the token is too large"
NOT_JWT = "the token is not a signed JWT"
ENCODING = "the token is not base64url encoded"
HEADER = "the token header is malformed"
EXTENSION = "the token uses an unsupported extension"
ALGORITHM = "the token algorithm is not allowed"
CLAIMS = "the token claims are malformed"
SUBJECT = "the token subject is missing or unusable"
NO_EXPIRY = "the token has no expiry"
ISSUER = "the token issuer is not accepted"
TYPE = "the token type is not accepted"
UNKNOWN_KEY = "the token key is not known"
SIGNATURE = "the token signature is not valid"
EXPIRED = "the token has expired"
NOT_YET = "the token is not valid yet"
AUDIENCE = "the token audience is not accepted"


def algorithms():
    for alg in ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512"):
        for key in ("rsa", "rsa3072", "rsa4096"):
            row(f"{alg} with {key}", token(alg=alg, key=key, kid=key), OK)
    row("RS256 with exponent 3", token(alg="RS256", key="rsa-e3", kid="rsa-e3"), OK)
    row("ES256", token(), OK)
    row("ES384", token(alg="ES384", key="p384", kid="p384"), OK)
    row("EdDSA", token(alg="EdDSA", key="ed", kid="ed"), OK)
    row("Ed25519, as RFC 9864 calls it", token(alg="Ed25519", key="ed", kid="ed"), OK)
    bad("ES256K where it is not listed", token(alg="ES256K", key="k256", kid="k256"), ALGORITHM)
    k = claims("https://k.example.com")
    row("ES256K where it is listed", token(k, alg="ES256K", key="k256", kid="k256"), OK)
    n = int("FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFEBAAEDCE6AF48A03BBFD25E8CD0364141", 16)
    text = b64(dump({"alg": "ES256K", "kid": "k256"})) + "." + b64(dump(k))
    sig = sign("ES256K", "k256", text)
    s = int.from_bytes(sig[32:], "big")
    other = sig[:32] + (n - s).to_bytes(32, "big")
    row("ES256K with the other of the two S", text + "." + b64(other), OK)
    bad("ES256 where only ES256K is listed",
        token(claims("https://k.example.com"), kid="p256"), ALGORITHM)
    for alg in ("HS256", "HS384", "HS512"):
        h = claims("https://hmac.example.com")
        row(f"{alg} with the shared secret", token(h, alg, SECRET, None), OK)
        bad(f"{alg} with another secret", token(h, alg, SECRET[::-1], None), SIGNATURE)
        bad(f"{alg} at an issuer with public keys", token(alg=alg, key=SECRET), ALGORITHM)
    head, mac = token(claims("https://hmac.example.com"), "HS256", SECRET, None).rsplit(".", 1)
    bad("HS256 cut short", head + "." + b64(unb64(mac)[:16]), SIGNATURE)
    bad("HS256 without a byte of it",
        token(claims("https://hmac.example.com"), "HS256", SECRET, None).rsplit(".", 1)[0] + ".AA",
        SIGNATURE)
    bad("RS256 at an issuer with a secret",
        token(claims("https://hmac.example.com"), "RS256", "rsa", None), ALGORITHM)


def confusion():
    pub = rsa_private(KEYS["rsa"]).public_key()
    from cryptography.hazmat.primitives import serialization as ser
    spki = ser.PublicFormat.SubjectPublicKeyInfo
    pem, der = (pub.public_bytes(e, spki) for e in (ser.Encoding.PEM, ser.Encoding.DER))
    for name, secret in (("PEM", pem), ("DER", der), ("modulus", unb64(KEYS["rsa"]["n"]))):
        bad(f"HS256 with the RSA key's {name} for a secret",
            token(alg="HS256", key=secret, kid="rsa"), ALGORITHM)
    for alg in ("none", "None", "nOnE", "NONE", "", "RS257", "rs256", "RS256 ", "A128KW",
                "RSA-OAEP", "ES521"):
        head = {"alg": alg, "kid": "p256"}
        text = b64(dump(head)) + "." + b64(dump(claims()))
        bad(f"alg {alg!r}", text + "." + b64(sign("ES256", "p256", text)), ALGORITHM)
    bad("alg none without a signature", b64('{"alg":"none"}') + "." + b64(dump(claims())) + ".",
        NOT_JWT)
    for name, header in (("missing", {"kid": "p256"}), ("a number", {"alg": 256}),
                         ("an array", {"alg": ["ES256"]}), ("null", {"alg": None}),
                         ("an object", {"alg": {}})):
        bad(f"alg is {name}", raw(header, claims(), "ES256", "p256"), HEADER)
    bad("ES256 naming an RSA key", token(kid="rsa"), UNKNOWN_KEY)
    bad("RS256 naming an EC key", token(alg="RS256", key="rsa"), UNKNOWN_KEY)
    bad("ES384 naming a P-256 key", token(alg="ES384", key="p384"), UNKNOWN_KEY)
    bad("ES256 by another P-256 key", token(key="p256b"), SIGNATURE)
    bad("EdDSA by another key", token(alg="EdDSA", key="ed2", kid="ed"), SIGNATURE)
    bad("RS256 by another key", token(alg="RS256", key="rsa2", kid="rsa"), SIGNATURE)
    bad("RS256 signature called PS256",
        raw({"alg": "PS256", "kid": "rsa"}, claims(), "RS256", "rsa"), SIGNATURE)
    bad("PS256 signature called RS256",
        raw({"alg": "RS256", "kid": "rsa"}, claims(), "PS256", "rsa"), SIGNATURE)
    bad("RS384 signature called RS256",
        raw({"alg": "RS256", "kid": "rsa"}, claims(), "RS384", "rsa"), SIGNATURE)


def signatures():
    good = token()
    head, sig = good.rsplit(".", 1)
    rs = unb64(sig)
    r, s = rs[:32], rs[32:]
    n = int("FFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551", 16)
    der = utils.encode_dss_signature(int.from_bytes(r, "big"), int.from_bytes(s, "big"))
    variants = {
        "as DER": der, "r = 0": bytes(32) + s, "s = 0": r + bytes(32), "both 0": bytes(64),
        "r = n": n.to_bytes(32, "big") + s, "s = n": r + n.to_bytes(32, "big"),
        "all ones": b"\xff" * 64, "truncated": rs[:-1], "one byte too long": rs + b"\0",
        "one zero byte in front": b"\0" + rs, "only r": r, "96 bytes": bytes(16) + r + bytes(16) + s,
        "one byte": b"\0", "last bit flipped": rs[:-1] + bytes([rs[-1] ^ 1]),
        "r and s exchanged": s + r,
    }
    for name, sig in variants.items():
        bad(f"ES256 signature {name}", head + "." + b64(sig), SIGNATURE)
    row("ES256 with the other of the two S",
        head + "." + b64(r + (n - int.from_bytes(s, "big")).to_bytes(32, "big")), OK)
    bad("an empty signature", head + ".", NOT_JWT)
    for alg, key in (("RS256", "rsa"), ("PS256", "rsa"), ("ES384", "p384"), ("EdDSA", "ed")):
        head, sig = token(alg=alg, key=key, kid=key).rsplit(".", 1)
        sig = unb64(sig)
        for name, other in (("truncated", sig[:-1]), ("one byte too long", sig + b"\0"),
                            ("with a zero in front", b"\0" + sig), ("all zero", bytes(len(sig))),
                            ("all ones", b"\xff" * len(sig)),
                            ("first bit flipped", bytes([sig[0] ^ 0x80]) + sig[1:])):
            bad(f"{alg} signature {name}", head + "." + b64(other), SIGNATURE)
    text = b64(dump({"alg": "PS256", "kid": "rsa"})) + "." + b64(dump(claims()))
    h = hashes.SHA256()
    for salt in (0, 20, 64):
        sig = rsa_private(KEYS["rsa"]).sign(text.encode(), padding.PSS(padding.MGF1(h), salt), h)
        bad(f"PS256 with a salt of {salt} bytes", text + "." + b64(sig), SIGNATURE)
    sig = rsa_private(KEYS["rsa"]).sign(
        text.encode(), padding.PSS(padding.MGF1(hashes.SHA1()), 32), h)
    bad("PS256 with MGF1 over SHA-1", text + "." + b64(sig), SIGNATURE)
    parts = token().split(".")
    bad("another payload under the signature",
        ".".join([parts[0], b64(dump(claims(sub="eve"))), parts[2]]), SIGNATURE)
    bad("another header under the signature",
        ".".join([b64('{"kid":"p256","alg":"ES256"}'), parts[1], parts[2]]), SIGNATURE)


def headers():
    for name, value in (("unknown", ["x"]), ("empty", []), ("of b64", ["b64"]),
                        ("of exp", ["exp"]), ("a string", "exp"), ("null", None)):
        bad(f"crit {name}", token(crit=value, x=1, b64=True), EXTENSION)
    bad("crit alone", token(crit=["http://example.com/x"]), EXTENSION)
    bad("b64 false", token(b64=False), EXTENSION)
    bad("b64 true", token(b64=True), EXTENSION)
    bad("zip", token(zip="DEF"), EXTENSION)
    bad("crit twice", raw('{"alg":"ES256","kid":"p256","crit":[],"crit":["x"]}', claims(), "ES256",
                          "p256"), HEADER)
    evil = public("ed2", kid="evil")
    for name, extra in (("jwk", {"jwk": evil}), ("jku", {"jku": "http://127.0.0.1:1/keys"}),
                        ("x5u", {"x5u": "http://127.0.0.1:1/cert"}), ("x5c", {"x5c": ["MIIB"]}),
                        ("x5t", {"x5t": "AA"})):
        row(f"{name} beside a good signature", token(**extra), OK)
        bad(f"{name} instead of our key",
            token(alg="EdDSA", key="ed2", kid="ed", **extra), SIGNATURE)
    bad("jwk and a kid we do not know",
        token(alg="EdDSA", key="ed2", kid="evil", jwk=evil), UNKNOWN_KEY)
    for name, kid in (("empty", ""), ("with a path", "../../../../etc/passwd"),
                      ("with SQL", "' OR 1=1; --"), ("with CRLF", "p256\r\nX-Attach-User: eve"),
                      ("with NUL", "p256\0"), ("in other case", "P256"), ("cut short", "p25"),
                      ("of 4 KiB", "k" * 4096)):
        bad(f"kid {name}", token(kid=kid), UNKNOWN_KEY)
    bad("kid of 64 KiB", token(kid="k" * 65536), TOO_LARGE)
    for name, kid in (("a number", 1), ("null", None), ("an array", ["p256"])):
        bad(f"kid is {name}", raw({"alg": "ES256", "kid": kid}, claims(), "ES256", "p256"), HEADER)
    bad("kid twice", raw('{"alg":"ES256","kid":"p256","kid":"p256"}', claims(), "ES256", "p256"),
        HEADER)
    bad("alg twice", raw('{"alg":"none","alg":"ES256","kid":"p256"}', claims(), "ES256", "p256"),
        HEADER)
    bad("alg twice, once escaped",
        raw('{"alg":"ES256","\\u0061lg":"none","kid":"p256"}', claims(), "ES256", "p256"), HEADER)
    row("kid with an escape", raw('{"alg":"ES256","kid":"p\\u003256"}', claims(), "ES256", "p256"),
        OK)
    for typ in ("JWT", "jwt", "at+jwt", "application/at+jwt", "AT+JWT", "application/jwt"):
        row(f"typ {typ}", token(typ=typ), OK)
    for typ in ("JWS", "JOSE", "", "dpop", "application/", "jwt+at"):
        bad(f"typ {typ!r}", token(typ=typ), TYPE)
    bad("typ is a number", token(typ=1), HEADER)
    at = claims("https://at.example.com")
    row("typ at+jwt where it is asked for", token(at, typ="at+JWT"), OK)
    row("typ with application/ where it is asked for", token(at, typ="application/at+jwt"), OK)
    bad("an ID token where at+jwt is asked for", token(at, typ="JWT"), TYPE)
    bad("no typ where at+jwt is asked for", token(at), TYPE)


def encoding():
    good = token()
    h, p, s = good.split(".")
    for name, text in {
        "empty": "", "one dot": ".", "two dots": "..", "three dots": "...", "one part": h,
        "two parts": h + "." + p, "four parts": good + "." + s, "five parts (JWE)":
        ".".join([h, p, s, s, s]), "no payload": h + ".." + s, "leading dot": "." + good,
        "trailing dot": good + ".", "no header": "." + p + "." + s,
    }.items():
        bad(f"form: {name}", text, NOT_JWT)
    padded = good + "=" * (-len(s) % 4 or 4)
    for name, text in {
        "padding": padded, "padding in the header": h + "==." + p + "." + s,
        "white space at the end": good + " ", "a line feed": good + "\n",
        "white space inside": h + "." + p[:8] + " " + p[8:] + "." + s,
        "a tab in front": "\t" + good, "percent encoding": good.replace(".", "%2E.", 1),
        "a NUL": good + "\0", "not ASCII": good + "é", "the standard alphabet":
        h + "." + p + "." + "+/" + s[2:], "one character too many": good + "A" * ((1 - len(s)) % 4),
    }.items():
        bad(f"encoding: {name}", text, ENCODING)
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet[alphabet.index(s[-1]) | 1]
    assert last != s[-1]
    bad("encoding: trailing bits that are not zero", h + "." + p + "." + s[:-1] + last, ENCODING)
    bad("size: 64 KiB", token(claims(pad="x" * 65536)), TOO_LARGE)
    row("size: 8 KiB", token(claims(pad="x" * 6000)), OK)
    bare = len(token(claims(pad="")))
    pad = (16384 - bare) // 4 * 3
    fits = next(n for n in range(pad, 0, -1) if len(token(claims(pad="x" * n))) <= 16384)
    row("size: as long as may be", token(claims(pad="x" * fits)), OK)
    bad("size: a little longer", token(claims(pad="x" * (fits + 3))), TOO_LARGE)

    body = dump(claims())
    for name, text in {
        "an array": "[]", "a number": "1", "null": "null", "a string": '"x"', "empty object": None,
        "cut off": body[:-1], "text behind": body + "x", "two objects": body + body,
        "a byte order mark": "\ufeff" + body, "single quotes": body.replace('"', "'"),
        "a trailing comma": body[:-1] + ",}", "a comment": "/**/" + body, "NaN":
        body[:-1] + ',"x":NaN}', "Infinity": body[:-1] + ',"x":Infinity}',
        "a lone surrogate": body[:-1] + ',"x":"\\ud800"}', "a raw line feed in text":
        body[:-1] + ',"x":"\n"}', "10,000 deep": body[:-1] + ',"x":' + "[" * 5000 + "]" * 5000 + "}",
        "129 deep": body[:-1] + ',"x":' + "[" * 129 + "]" * 129 + "}",
        "iss twice": '{"iss":"https://evil.example.com",' + body[1:],
        "sub twice": body[:-1] + ',"sub":"eve"}', "exp twice": body[:-1] + ',"exp":99999999999}',
        "an unknown name twice": body[:-1] + ',"x":1,"x":2}',
        "a name twice, deep": body[:-1] + ',"x":[{"y":{"z":1,"z":1}}]}',
        "a name twice among many": body[:-1] + "," +
        ",".join(f'"n{i}":{i}' for i in range(40)) + ',"n7":0}',
    }.items():
        if text is not None:
            bad(f"payload: {name}", raw({"alg": "ES256", "kid": "p256"}, text, "ES256", "p256"),
                CLAIMS)
    bad("payload: invalid UTF-8", raw({"alg": "ES256", "kid": "p256"},
                                      body[:-1].encode() + b',"x":"\xff"}', "ES256", "p256"), CLAIMS)
    bad("payload: overlong UTF-8", raw({"alg": "ES256", "kid": "p256"},
                                       body[:-1].encode() + b',"x":"\xc0\xae"}', "ES256", "p256"),
        CLAIMS)
    bad("payload: a nested JWT", raw({"alg": "ES256", "kid": "p256", "cty": "JWT"}, good, "ES256",
                                     "p256"), CLAIMS)
    row("payload: 100 deep", raw({"alg": "ES256", "kid": "p256"},
        body[:-1] + ',"x":' + "[" * 100 + "]" * 100 + "}", "ES256", "p256"), OK)
    row("payload: white space", raw({"alg": "ES256", "kid": "p256"}, " \n" + json.dumps(
        claims(), indent=2) + "\t", "ES256", "p256"), OK)
    for name, text in (("an array", "[]"), ("null", "null"), ("no JSON", "x"), ("empty", "{}"),
                       ("a byte order mark", '\ufeff{"alg":"ES256","kid":"p256"}'),
                       ("text behind", '{"alg":"ES256","kid":"p256"}x'),
                       ("deep", '{"alg":"ES256","kid":"p256","x":' + "[" * 200 + "]" * 200 + "}")):
        bad(f"header: {name}", raw(text, claims(), "ES256", "p256"), HEADER)
    bad("header: invalid UTF-8", raw(b'{"alg":"ES256","kid":"\xff"}', claims(), "ES256", "p256"),
        HEADER)


def times():
    def at(**more):
        return token(claims(**more))
    row("exp in a second", at(exp=NOW + 1), OK)
    row("exp passed, within the leeway", at(exp=NOW - 29), OK)
    row("exp passed by a fraction less than the leeway", at(exp=NOW - 29.999), OK)
    bad("exp passed by the leeway", at(exp=NOW - 30), EXPIRED)
    bad("exp passed by a fraction more", at(exp=NOW - 30.001), EXPIRED)
    bad("exp long ago", at(exp=NOW - 86400), EXPIRED)
    bad("exp 0", at(exp=0), EXPIRED)
    bad("exp negative", at(exp=-1), EXPIRED)
    bad("exp very negative", at(exp=-1e300), EXPIRED)
    bad("exp absent", token(claims(drop=("exp",))), NO_EXPIRY)
    row("exp with a fraction", at(exp=NOW + 0.5), OK)
    row("exp with an exponent", raw({"alg": "ES256", "kid": "p256"},
        dump(claims()).replace(str(NOW + 600), "1.8000006e9"), "ES256", "p256"), OK)
    row("exp u64::MAX", at(exp=2**64 - 1), OK)
    row("exp 1e300", at(exp=1e300), OK)
    huge = dump(claims()).replace(str(NOW + 600), "1e400")
    bad("exp 1e400", raw({"alg": "ES256", "kid": "p256"}, huge, "ES256", "p256"), CLAIMS)
    for claim in ("exp", "nbf", "iat"):
        for name, value in (("a string", str(NOW + 600)), ("null", None), ("true", True),
                            ("an array", [NOW + 600]), ("an object", {"t": 1}), ("empty text", "")):
            bad(f"{claim} is {name}", at(**{claim: value}), CLAIMS)
    for claim in ("nbf", "iat"):
        row(f"{claim} now", at(**{claim: NOW}), OK)
        row(f"{claim} ahead by the leeway", at(**{claim: NOW + 30}), OK)
        bad(f"{claim} ahead by a fraction more", at(**{claim: NOW + 30.001}), NOT_YET)
        bad(f"{claim} ahead", at(**{claim: NOW + 86400}), NOT_YET)
        bad(f"{claim} u64::MAX", at(**{claim: 2**64 - 1}), NOT_YET)
        row(f"{claim} negative", at(**{claim: -5}), OK)
    row("iat absent", token(claims(drop=("iat",))), OK)
    row("later, when it is still valid", token(), OK, now_ms=(NOW + 629) * 1000 + 999)
    bad("later, when it has expired", token(), EXPIRED, now_ms=(NOW + 630) * 1000)
    bad("before it was issued", token(), NOT_YET, now_ms=(NOW - 41) * 1000)


def names():
    for name, iss in (("with a slash", ISS + "/"), ("in other case", "https://ID.example.com"),
                      ("cut short", ISS[:-1]), ("longer", ISS + ".evil.com"), ("empty", ""),
                      ("unknown", "https://evil.example.com"), ("with NUL", ISS + "\0"),
                      ("with a port", ISS + ":443")):
        bad(f"iss {name}", token(claims(iss)), ISSUER)
    bad("iss absent", token(claims(drop=("iss",))), ISSUER)
    for name, value in (("a number", 1), ("null", None), ("an array", [ISS])):
        bad(f"iss is {name}", token(claims(value)), CLAIMS)
    bad("another issuer's key", token(claims("https://at.example.com"), key="p256b", typ="at+jwt"),
        SIGNATURE)
    row("another issuer's own key of the same kid",
        token(claims("https://other.example.com"), key="p256b"), OK)

    for name, aud in (("ours", "attach"), ("an array with ours", ["x", "attach"]),
                      ("our second", "attach-2"), ("ours twice", ["attach", "attach"])):
        row(f"aud {name}", token(claims(aud=aud)), OK)
    for name, aud in (("empty", ""), ("an empty array", []), ("a prefix", "attac"),
                      ("longer", "attach-gateway"), ("in other case", "Attach"),
                      ("another", "other"), ("ours among words", "x attach"), ("others", ["x", "y"])):
        bad(f"aud {name}", token(claims(aud=aud)), AUDIENCE)
    bad("aud absent", token(claims(drop=("aud",))), AUDIENCE)
    for name, aud in (("a number", 1), ("null", None), ("an object", {"attach": True}),
                      ("an array with a number", ["attach", 1]), ("nested", [["attach"]])):
        bad(f"aud is {name}", token(claims(aud=aud)), CLAIMS)

    for name, sub, user in (("with a space", "ada l", "ada%20l"), ("with a comma", "a,b", "a,b"),
                            ("with percent", "100%", "100%25"), ("an emoji", "🦀", "%F0%9F%A6%80"),
                            ("with an umlaut", "jürgen", "j%C3%BCrgen"), ("with a pipe",
                             "auth0|5f7c8ec7", "auth0|5f7c8ec7"), ("with a colon", "a:b", "a:b"),
                            ("of 1 KiB", "s" * 1024, "s" * 1024), ("a quote", "a\"b\\", "a\"b\\"),
                            ("no-break space", "a\u00a0b", "a%C2%A0b")):
        row(f"sub {name}", token(claims(sub=sub)), f"accepted user={user} agent=- scope=chat:run")
    for name, sub in (("empty", ""), ("with CR", "a\rb"), ("with LF", "a\nX-Attach-User: eve"),
                      ("with NUL", "a\0"), ("with tab", "a\tb"), ("with DEL", "a\x7f"),
                      ("with a C1 control", "a\x85b"), ("of 10 KiB", "s" * 10240)):
        bad(f"sub {name}", token(claims(sub=sub)), SUBJECT)
    bad("sub absent", token(claims(drop=("sub",))), SUBJECT)
    for name, sub in (("a number", 7), ("null", None), ("an array", ["ada"]), ("an object", {})):
        bad(f"sub is {name}", token(claims(sub=sub)), CLAIMS)

    def agent(name, who, **more):
        row(f"agent: {name}", token(claims(**more)), f"accepted user=ada agent={who} scope=chat:run")
    agent("act.sub before the others", "bot", act={"sub": "bot"}, azp="a", client_id="c")
    agent("azp before client_id", "a", azp="a", client_id="c")
    agent("client_id", "c%20d", client_id="c d")
    agent("act without sub", "a", act={"iss": "x"}, azp="a")
    agent("empty ones", "c", act={"sub": ""}, azp="", client_id="c")
    for name, more in (("act is text", {"act": "bot"}), ("act.sub is a number", {"act": {"sub": 1}}),
                       ("azp is an array", {"azp": ["a"]}), ("client_id is null",
                        {"client_id": None}), ("azp with LF", {"azp": "a\nb"}),
                       ("client_id of 2 KiB", {"client_id": "c" * 2048})):
        bad(f"agent: {name}", token(claims(**more)), CLAIMS)


def scopes():
    def granted(name, want, **more):
        scope = " ".join(want)
        row(f"scope: {name}", token(claims(drop=("scope",)) | more),
            f"accepted user=ada agent=- scope={scope}")
    granted("none", [])
    granted("words", ["chat:run", "mem:admin"], scope="chat:run mem:admin")
    granted("more spaces", ["a", "b"], scope="  a   b ")
    granted("an array", ["a", "b"], scope=["a", "b"])
    granted("scp text", ["a", "b"], scp="a b")
    granted("scp array", ["a"], scp=["a"])
    granted("permissions", ["a"], permissions=["a"])
    granted("roles", ["a"], roles=["a"])
    granted("realm_access.roles", ["a"], realm_access={"roles": ["a"]})
    granted("from everywhere, each once", ["a", "b", "c"], scope="a", scp=["b", "a"],
            realm_access={"roles": ["c"]})
    granted("an element with a space grants nothing", ["b"], scope=["a mem:admin", "b"])
    granted("a tab is no separator", ["b"], scope="a\tmem:admin b")
    granted("a number grants nothing", [], scope=1)
    granted("an object grants nothing", [], scope={"chat:run": True})
    granted("other types among words", ["a"], roles=["a", 1, None, {}])
    granted("not ASCII grants nothing", ["b"], scope="ä b")
    granted("realm_access is text", [], realm_access="roles")
    row("scope: claim with dots in its name", token(
        claims("https://at.example.com", drop=("scope",), **{"https://x.example.com/roles": ["r"]}),
        typ="at+jwt"), "accepted user=ada agent=- scope=r")


ODD = "https://odd.example.com"


def keys():
    """Key sets that are not as they should be."""
    def odd(name, alg, key, kid, why=UNKNOWN_KEY):
        text = token(claims(ODD), alg=alg, key=key, kid=kid)
        row(f"key: {name}", text, OK) if why is None else bad(f"key: {name}", text, why)
    odd("for encryption", "ES256", "p256", "use-enc")
    odd("use in other case", "ES256", "p256", "use-SIG")
    odd("use is a number", "ES256", "p256", "use-number")
    odd("for signing only", "ES256", "p256", "ops-sign")
    odd("with no operations", "ES256", "p256", "ops-none")
    odd("operations are text", "ES256", "p256", "ops-text")
    odd("for verifying", "ES256", "p256", "ops-verify", None)
    odd("of another algorithm", "RS256", "rsa", "alg-ps")
    odd("of this algorithm", "PS256", "rsa", "alg-ps", None)
    odd("of an algorithm of another kind", "RS256", "rsa", "alg-es")
    odd("of an unknown algorithm", "RS256", "rsa", "alg-unknown")
    odd("of algorithm Ed25519", "EdDSA", "ed", "alg-ed", None)
    odd("of 1024 bits", "RS256", "rsa1024", "rsa1024")
    odd("of 2040 bits", "RS256", "rsa2040", "rsa2040")
    odd("of 8192 bits", "RS256", "rsa", "rsa8192")
    odd("of 16384 bits", "RS256", "rsa", "rsa16384")
    odd("with exponent 1", "RS256", "rsa", "e1")
    odd("with an even exponent", "RS256", "rsa", "e-even")
    odd("with a long exponent", "RS256", "rsa", "e-long")
    odd("with an even modulus", "RS256", "rsa", "n-even")
    odd("without exponent", "RS256", "rsa", "no-e")
    odd("with zeros in front of the modulus", "RS256", "rsa", "n-zeros", None)
    odd("in padded base64", "RS256", "rsa", "n-padded")
    odd("off the curve", "ES256", "p256", "off-curve")
    odd("at the origin", "ES256", "p256", "origin")
    odd("with a short coordinate", "ES256", "p256", "short-x")
    odd("with a long coordinate", "ES256", "p256", "long-x")
    odd("of another curve", "ES256", "p256", "wrong-crv")
    odd("a symmetric one", "HS256", unb64("c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"), "oct", ALGORITHM)
    odd("with its private half", "ES256", "p256", "private")
    odd("with a name twice", "ES256", "p256", "twice")
    odd("of small order", "EdDSA", "ed", "ed-small")
    odd("Ed25519 cut short", "EdDSA", "ed", "ed-short")
    odd("X25519", "EdDSA", "ed", "x25519")
    odd("the good one among them", "ES256", "p256", "good", None)
    odd("two of one name, the first fits", "ES256", "p256", "same", None)
    odd("two of one name, the second fits", "ES256", "p256b", "same", None)
    odd("two of one name and other kinds", "EdDSA", "ed", "same", None)
    odd("two of one name, neither fits", "EdDSA", "ed2", "same", SIGNATURE)
    odd("unknown", "ES256", "p256", "nobody")
    row("key: no kid, several fit", token(claims(ODD), kid=None), OK)
    bad("key: no kid, none fits", token(claims(ODD), alg="EdDSA", key="ed2", kid=None), SIGNATURE)
    one = claims("https://single.example.com")
    row("key: the only one, no kid in the token", token(one, kid=None), OK)
    bad("key: the only one has no kid, the token has", token(one), UNKNOWN_KEY)
    bad("key: no kid and no key of the kind", token(one, alg="EdDSA", key="ed", kid=None), UNKNOWN_KEY)
    row("keys have not come yet", token(claims("https://down.example.com")), "pending")
    bad("keys have not come yet, and never could fit",
        token(claims("https://down.example.com"), alg="HS256", key=SECRET), ALGORITHM)


def odd_set():
    ec_key, rsa_key = public("p256"), public("rsa")
    n = unb64(rsa_key["n"])
    big = (1 << 8191) | 1
    flat = [
        {**ec_key, "kid": "use-enc", "use": "enc"}, {**ec_key, "kid": "use-SIG", "use": "SIG"},
        {**ec_key, "kid": "use-number", "use": 1},
        {**ec_key, "kid": "ops-sign", "key_ops": ["sign"]},
        {**ec_key, "kid": "ops-none", "key_ops": []},
        {**ec_key, "kid": "ops-text", "key_ops": "verify"},
        {**ec_key, "kid": "ops-verify", "key_ops": ["verify"], "use": "sig"},
        {**rsa_key, "kid": "alg-ps", "alg": "PS256"}, {**rsa_key, "kid": "alg-es", "alg": "ES256"},
        {**rsa_key, "kid": "alg-unknown", "alg": "RS1"}, public("ed", kid="alg-ed", alg="Ed25519"),
        public("rsa1024", kid="rsa1024"), public("rsa2040", kid="rsa2040"),
        {**rsa_key, "kid": "rsa8192", "n": number(big)},
        {**rsa_key, "kid": "rsa16384", "n": number((1 << 16383) | 1)},
        {**rsa_key, "kid": "e1", "e": "AQ"}, {**rsa_key, "kid": "e-even", "e": number(65536)},
        {**rsa_key, "kid": "e-long", "e": number((1 << 64) | 1)},
        {**rsa_key, "kid": "n-even", "n": b64(n[:-1] + bytes([n[-1] & 0xFE]))},
        {k: v for k, v in {**rsa_key, "kid": "no-e"}.items() if k != "e"},
        {**rsa_key, "kid": "n-zeros", "n": b64(bytes(3) + n)},
        {**rsa_key, "kid": "n-padded", "n": rsa_key["n"] + "=="},
        {**ec_key, "kid": "off-curve", "y": ec_key["x"]},
        {**ec_key, "kid": "origin", "x": b64(bytes(32)), "y": b64(bytes(32))},
        {**ec_key, "kid": "short-x", "x": b64(unb64(ec_key["x"])[:-1])},
        {**ec_key, "kid": "long-x", "x": b64(b"\0" + unb64(ec_key["x"]))},
        {**ec_key, "kid": "wrong-crv", "crv": "P-384"},
        {"kty": "oct", "kid": "oct", "k": "c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0c2VjcmV0"},
        {**KEYS["p256"], "kid": "private"},
        public("ed", kid="ed-small", x=b64(b"\1" + bytes(31))),
        public("ed", kid="ed-short", x=b64(bytes(31))),
        public("ed", kid="x25519", crv="X25519"),
        public("p256", kid="same"), public("p256b", kid="same"), public("ed", kid="same"),
        {"kty": "PQ", "kid": "future"}, {}, 1, None, "text", [],
        {**ec_key, "kid": ["list"]}, public("p256", kid="good"),
    ]
    text = [json.dumps(jwk, separators=(",", ":")) for jwk in flat]
    text.append(json.dumps({**ec_key, "kid": "twice"}, separators=(",", ":"))[:-1] + ',"kty":"EC"}')
    return '{"keys":[' + ",".join(text) + '],"other":1}'


def issuer(name, **more):
    return {"issuer": name, "audiences": ["attach"], "scopes": ["chat:run"],
            "jwks_uri": name + "/jwks", **more}


def main():
    for part in (algorithms, confusion, signatures, headers, encoding, times, names, scopes, keys):
        part()
    main_keys = [public(k, kid=k, use="sig") for k in
                 ("rsa", "rsa3072", "rsa4096", "rsa-e3", "p256", "p384", "k256", "ed")]
    sets = {
        ISS: json.dumps({"keys": main_keys}),
        "https://other.example.com": json.dumps({"keys": [public("p256b", kid="p256")]}),
        "https://at.example.com": json.dumps({"keys": [public("p256", kid="p256")]}),
        "https://k.example.com": json.dumps({"keys": [public("k256", kid="k256"),
                                                      public("p256", kid="p256")]}),
        ODD: odd_set(),
        "https://single.example.com": json.dumps({"keys": [public("p256")]}),
    }
    hmac_issuer = issuer("https://hmac.example.com", hmac_secret=b64(SECRET))
    del hmac_issuer["jwks_uri"]
    config = {
        "public_url": "https://gw.example.com", "session": "sha256",
        "engine": {"cluster": "attach_engine", "authority": "127.0.0.1:11434"},
        "origins": {name: f"attach_issuer_{i}" for i, name in
                    enumerate([*sets, "https://down.example.com"])},
        "issuers": [
            issuer(ISS, audiences=["attach", "attach-2"]), issuer("https://other.example.com"),
            issuer("https://at.example.com", token_types=["at+jwt"],
                   scope_claims=["scope", "https://x.example.com/roles"]),
            issuer("https://k.example.com", algorithms=["ES256K"]), hmac_issuer, issuer(ODD),
            issuer("https://single.example.com"), issuer("https://down.example.com"),
        ],
    }
    corpus = {"now_ms": NOW * 1000, "config": config, "key_sets": sets}
    head = json.dumps(corpus, indent=1)[:-2]
    rows = ",\n".join("  " + json.dumps(r) for r in ROWS)
    (HERE / "corpus.json").write_text(f'{head},\n "rows": [\n{rows}\n ]\n}}\n')
    print(len(ROWS), "rows")


main()
