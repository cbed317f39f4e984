#!/usr/bin/env python3
"""Verifies an engine's day from files alone: Python's standard library and nothing of the product.

    verify_log.py --engine-dir DIR [--day YYYY-MM-DD]
    verify_log.py --bundle FILE.tar

Checks, in this order: the manifest (canonical bytes, signature, key records, chain of manifests), the logs
(header, size, every CRC, ticks, header chain, file hash, record root, day root), the journal (frames, quote
blocks, chain, hashes), the streams (hashes), and level A: token states, cluster states, event phases, alert
masks and alert ids derived again from the records. Reads only. Prints one JSON object; exit 0 when everything
agrees, 15 for a difference of level A, else the family of the code (12 snapshot, 13 log, 14 journal, 18 manifest
and bundle). Compressed files (`X.zst`) are read through the program `zstd`. Of a bundle every byte is compared
with its index first, and the end of the day before proves itself by its Merkle paths.
"""

import argparse
import base64
import hashlib
import json
import os
import struct
import subprocess
import sys
import tempfile
from datetime import date, timedelta

DAY_TICKS, HOUR_TICKS, BUCKET, LEAD = 345_600, 14_400, 3_600, 3_600
FSM = ["BUILD", "PRESSURE", "FRAGILE", "TRIGGER_READY", "UNWIND", "COOLDOWN"]
TIERS = ["NEUTRAL", "EXPANSION", "COMPRESSED", "OVERLEVERAGED", "EXHAUSTED"]
CLUSTERS = ["CLUSTER_CALM", "CLUSTER_HEATING", "CLUSTER_FRAGILE", "CLUSTER_UNWIND", "CLUSTER_COOLDOWN"]
PHASES = ["EVENT_PREP", "EVENT_START", "EVENT_MID", "EVENT_END", "EVENT_POST"]
DIRECTIONS = ["NEUTRAL", "LONG", "SHORT"]
KINDS = {1: "STRUCTURAL_BUILD", 2: "STRUCTURAL_FRAGILE", 3: "STRUCTURAL_TRIGGER_READY",
         4: "STRUCTURAL_UNWIND", 5: "SYSTEMIC_ALERT", 6: "STABLE_15M_ALERT"}
COLD, OI_STALE, SUPPRESS, ALT_EDGE, OVERRIDE, CLUSTER_TICK, INACTIVE = (1 << b for b in (2, 6, 10, 11, 12, 14, 15))
RECORD = struct.Struct("<QHhBBBBHBBiiiiiqiiiI")


class Fault(Exception):
    def __init__(self, code, what, **where):
        super().__init__(what)
        self.code, self.what, self.where = code, what, where


def family(code):
    for prefix, status in (("E_SNAP", 12), ("E_LOG", 13), ("E_JRN", 14), ("E_FRAME", 14), ("E_DET", 15), ("E_MAN", 18)):
        if code.startswith(prefix):
            return status
    return 16


def crc_table():
    table = []
    for n in range(256):
        for _ in range(8):
            n = n >> 1 ^ (0x82F63B78 if n & 1 else 0)
        table.append(n)
    return table


TABLE = crc_table()


def crc32c(data):
    crc, table = 0xFFFFFFFF, TABLE
    for byte in data:
        crc = table[(crc ^ byte) & 255] ^ crc >> 8
    return crc ^ 0xFFFFFFFF


def sha(data):
    return hashlib.sha256(data).digest()


def canonical(value):
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False).encode()


def read(path, missing=None):
    if os.path.exists(path):
        with open(path, "rb") as file:
            return file.read()
    if os.path.exists(path + ".zst"):
        done = subprocess.run(["zstd", "-dcq", path + ".zst"], check=False, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE)
        with open(path + ".zst", "rb") as file:
            data = file.read()
        # Written by the engine, it ends with a frame that programs skip: magic, length, SHA-256 of what is before.
        seal = data[-40:-32] == b"\x50\x2a\x4d\x18\x20\0\0\0"
        if done.returncode or (seal and sha(data[:-40]) != data[-32:]):
            raise Fault("E_MAN_HASH", "the compressed file is damaged", file=path + ".zst")
        return done.stdout
    if missing is not None:
        return missing
    raise Fault("E_MAN_MISSING", "the file is missing", file=path)


def day_name(day):
    return (date(1970, 1, 1) + timedelta(days=day)).isoformat()


def day_of(name):
    return (date.fromisoformat(name) - date(1970, 1, 1)).days


# ---- Ed25519, RFC 8032 -------------------------------------------------------------------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
ROOT = pow(2, (P - 1) // 4, P)


def recover_x(y, sign):
    if y >= P:
        return None
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * ROOT % P
    if (x * x - x2) % P or (x == 0 and sign):
        return None
    return P - x if x & 1 != sign else x


def point(data):
    y = int.from_bytes(data, "little")
    x = recover_x(y & ((1 << 255) - 1), y >> 255)
    y &= (1 << 255) - 1
    return None if x is None else (x, y, 1, x * y % P)


def add(p, q):
    a, b = (p[1] - p[0]) * (q[1] - q[0]) % P, (p[1] + p[0]) * (q[1] + q[0]) % P
    c, d = 2 * p[3] * q[3] * D % P, 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return e * f % P, g * h % P, f * g % P, e * h % P


def times(n, p):
    q = (0, 1, 1, 0)
    while n:
        if n & 1:
            q = add(q, p)
        p, n = add(p, p), n >> 1
    return q


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE = (recover_x(BASE_Y, 0), BASE_Y, 1, recover_x(BASE_Y, 0) * BASE_Y % P)


def verifies(public, message, signature):
    a, r, s = point(public), point(signature[:32]), int.from_bytes(signature[32:], "little")
    if len(signature) != 64 or a is None or r is None or s >= L:
        return False
    h = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    left, right = times(s, BASE), add(r, times(h, a))
    return all((left[i] * right[2] - right[i] * left[2]) % P == 0 for i in (0, 1))


# ---- keys and manifests ------------------------------------------------------------------------------------

def without(value, *fields):
    return canonical({key: item for key, item in value.items() if key not in fields})


def unhex(text):
    """Bytes of hexadecimal digits in the one spelling that is written."""
    try:
        data = bytes.fromhex(text or "")
    except ValueError:
        return b""
    return data if data.hex() == text else b""


def key_records(root):
    folder = os.path.join(root, "manifests", "keys")
    found = []
    for name in sorted(os.listdir(folder)) if os.path.isdir(folder) else []:
        if not name.endswith(".json"):
            continue
        path = os.path.join(folder, name)
        try:
            record = json.loads(read(path))
            is_canonical = canonical(record) == read(path) and name == record["key_id"] + ".json"
            public, body = unhex(record["public_key"]), without(record, "signature", "prev_signature")
            der = bytes.fromhex("302a300506032b6570032100") + public
            pem = b"-----BEGIN PUBLIC KEY-----\n" + base64.b64encode(der) + b"\n-----END PUBLIC KEY-----\n"
            good = is_canonical and sha(public)[:8].hex() == record["key_id"] and \
                verifies(public, body, unhex(record["signature"])) and read(path[:-4] + "pem") == pem
        except (ValueError, KeyError, TypeError, Fault):
            good = False
        if not good:
            raise Fault("E_MAN_KEY", "the record of the key is wrong", file=path)
        found.append(record)
    ordered = []
    while found:
        last = ordered[-1]["key_id"] if ordered else None
        following = [record for record in found if record["prev_key_id"] == last]
        if not following:
            raise Fault("E_MAN_KEY", "a key does not follow the ones before it", file=folder)
        record = following[0]
        found.remove(record)
        if ordered and not record["unlinked"]:
            body = without(record, "signature", "prev_signature")
            if not verifies(unhex(ordered[-1]["public_key"]), body, unhex(record["prev_signature"])):
                raise Fault("E_MAN_KEY", "the key before it did not sign the key", key=record["key_id"])
        ordered.append(record)
    return ordered


def manifest_days(root):
    folder, days = os.path.join(root, "manifests"), []
    for name in os.listdir(folder) if os.path.isdir(folder) else []:
        try:
            days.append(day_of(name.removesuffix(".json"))) if name.endswith(".json") else None
        except ValueError:
            pass
    return sorted(days)


def manifest_path(root, day):
    return os.path.join(root, "manifests", day_name(day) + ".json")


def load_manifest(root, day):
    path = manifest_path(root, day)
    data = read(path)
    try:
        manifest = json.loads(data)
    except ValueError as error:
        raise Fault("E_MAN_HASH", f"no manifest: {error}", file=path) from error
    if not isinstance(manifest, dict) or canonical(manifest) != data or manifest.get("date") != day_name(day):
        raise Fault("E_MAN_HASH", "the manifest is not canonical or of another day", file=path)
    return manifest


def check_signature(root, day, manifest):
    keys, path = key_records(root), manifest_path(root, day)
    if manifest["key_id"] is None and manifest["signature"] is None:
        return False, False
    ids = [record["key_id"] for record in keys]
    if manifest["key_id"] not in ids:
        raise Fault("E_MAN_KEY", "the key has no public record", file=path, key=manifest["key_id"])
    at = ids.index(manifest["key_id"])
    public, body = unhex(keys[at]["public_key"]), without(manifest, "signature")
    if not verifies(public, body, unhex(manifest["signature"])):
        raise Fault("E_MAN_SIGNATURE", "the signature does not verify", file=path)
    return True, any(record["unlinked"] for record in keys[:at + 1])


def check_chain(root, day, manifest):
    before = [other for other in manifest_days(root) if other < day]
    due = sha(read(manifest_path(root, before[-1]))).hex() if before else None
    if before and manifest["prev_manifest_sha256"] != due:
        raise Fault("E_MAN_CHAIN", "the manifest does not continue the one before it",
                    file=manifest_path(root, day), expected=due, actual=manifest["prev_manifest_sha256"])
    return load_manifest(root, before[-1]) if before else None


# ---- logs --------------------------------------------------------------------------------------------------

def merkle(row):
    while len(row) > 1:
        row = [sha(b"\x01" + row[i] + row[i + 1]) if i + 1 < len(row) else row[i] for i in range(0, len(row), 2)]
    return row[0] if row else bytes(32)


def log_path(root, token, day, segment):
    name = day_name(day) + (f".s{segment:02}" if segment else "") + ".bin"
    return os.path.join(root, "log", str(token), name)


def fingerprint_of(config):
    return int.from_bytes(bytes.fromhex(config["sha256"])[:4], "little")


def check_log(root, day, entry, in_force, previous):
    path = log_path(root, entry["token_id"], day, entry["segment"])
    data = read(path)

    def fault(code, what, offset, **more):
        return Fault(code, what, file=path, offset=offset, token=entry["token_id"], **more)

    if len(data) < 64 or data[:4] != b"ENG3":
        raise fault("E_LOG_HEADER", "the file does not begin with the header of a log", 0)
    if crc32c(data[:28] + bytes(4) + data[32:64]) != int.from_bytes(data[28:32], "little"):
        raise fault("E_LOG_HEADER", "the header does not match its CRC", 0)
    schema, size, token, of_day, fingerprint = struct.unpack_from("<HHQQI", data, 4)
    if schema >> 8 != 1 or size != 64:
        raise fault("E_LOG_VERSION", "the log is of another version", 4)
    if token != entry["token_id"] or of_day != day or fingerprint != in_force:
        raise fault("E_LOG_HEADER", "the log is of another token, day or configuration", 8)
    due = entry["first_tick"]
    for offset in range(64, len(data), 64):
        record = data[offset:offset + 64]
        if len(record) < 64 or crc32c(record[:60]) != int.from_bytes(record[60:], "little"):
            raise fault("E_LOG_CORRUPT", "a record does not match its CRC", offset, tick=due)
        tick, of_token = struct.unpack_from("<QH", record)
        if tick != due or of_token != token:
            raise fault("E_LOG_OFFSET", "a record does not stand where its tick says", offset, tick=due)
        due += 1
    if previous is not None and data[32:64].hex() != previous:
        raise fault("E_MAN_CHAIN", "the log does not name the hash of the log before it", 32)
    found = (sha(data).hex(), len(data), len(data) // 64 - 1, due - 1)
    if found != (entry["sha256"], entry["bytes"], entry["records"], entry["last_tick"]):
        raise fault("E_MAN_HASH", "the log is not the one that the manifest names", 0)
    leaves = [sha(b"\x02" + data[at:min(at + 64_000, len(data))]) for at in range(64, len(data), 64_000)]
    if merkle(leaves).hex() != entry["record_root"]:
        raise fault("E_MAN_ROOT", "the root of the records is another", 64)
    return data


def check_logs(root, day, manifest, before):
    begins = [config["from_tick"] for config in manifest["configs"]]
    if begins != sorted(set(begins)) or not set(begins) <= {entry["first_tick"] for entry in manifest["tokens"]}:
        raise Fault("E_MAN_HASH", "a configuration does not begin where a log begins", file=manifest_path(root, day))
    last = {entry["token_id"]: entry["sha256"] for entry in before["tokens"]} if before else {}
    if manifest["genesis_sha256"]:
        # A hard reset begins the logs anew; the chain of manifests goes on.
        last = {entry["token_id"]: bytes(32).hex() for entry in manifest["tokens"]}
    logs, leaves = {}, []
    for entry in manifest["tokens"]:
        token = entry["token_id"]
        configs = [config for config in manifest["configs"] if config["from_tick"] <= entry["first_tick"]]
        data = check_log(root, day, entry, fingerprint_of(configs[-1]) if configs else None, last.get(token))
        last[token] = entry["sha256"]
        logs.setdefault(token, []).append(data)
        leaves.append(sha(b"\0" + token.to_bytes(2, "little") + bytes.fromhex(entry["sha256"])))
    if merkle(leaves).hex() != manifest["day_root"]:
        raise Fault("E_MAN_ROOT", "the day's root does not follow from its logs", file=manifest_path(root, day))
    return logs


def check_documents(root, day, manifest):
    """Archived configurations, the closing snapshot while it is there, the document of a reset."""
    for config in manifest["configs"]:
        path = os.path.join(root, "configs", config["sha256"] + ".json")
        if sha(read(path)).hex() != config["sha256"]:
            raise Fault("E_MAN_HASH", "the archived configuration is another than its name says", file=path)
    tick = day * DAY_TICKS + DAY_TICKS - 1
    for path in (os.path.join(root, "snapshots", f"engine-{tick:020}.snap"),
                 os.path.join(root, "journal", day_name(day + 1), "open.snap")):
        data = read(path, missing=b"")
        if data and sha(data).hex() != manifest["snapshot_close_sha256"]:
            code = "E_SNAP_CHECKSUM" if sha(data[:-32]) != data[-32:] else "E_MAN_HASH"
            raise Fault(code, "the closing snapshot is not the one that the manifest names", file=path)
    if manifest["genesis_sha256"]:
        path = os.path.join(root, "manifests", "GENESIS.json")
        if sha(read(path)).hex() != manifest["genesis_sha256"]:
            raise Fault("E_MAN_CHAIN", "the manifest names another document of a reset", file=path)


# ---- journal and streams -----------------------------------------------------------------------------------

def check_journal(root, day, manifest):
    folder = os.path.join(root, "journal", day_name(day))
    parts = {}
    for entry in manifest["journal"]["files"]:
        path = os.path.join(folder, entry["name"])
        data = read(path)
        parts[entry["name"]] = data
        if (sha(data).hex(), len(data)) != (entry["sha256"], entry["bytes"]):
            raise Fault("E_MAN_HASH", "the file of the journal is not the one that the manifest names", file=path)
    previous = first = number = None
    for name in sorted(name for name in parts if name.endswith(".ejf")):
        path, data, quotes = os.path.join(folder, name), parts[name], parts.get(name[:3] + "eqf", b"")
        at = q = 0
        while at < len(data):
            head = data[at:at + 96]
            if len(head) < 96 or head[:4] != b"EJF1" or crc32c(head[:92]) != int.from_bytes(head[92:], "little"):
                raise Fault("E_FRAME_CRC", "no frame stands here", file=path, offset=at)
            tick, seq = struct.unpack_from("<QQ", head, 8)
            n, = struct.unpack_from("<I", head, 40)
            frame = data[at:at + 96 + n * 64]
            if len(frame) != 96 + n * 64 or crc32c(frame[96:]) != int.from_bytes(head[88:92], "little"):
                raise Fault("E_FRAME_CRC", "the events do not match their CRC", file=path, offset=at)
            if previous is not None and (head[48:80] != previous or seq != number + 1):
                raise Fault("E_JRN_CHAIN", "the frame does not continue its chain", file=path, offset=at, tick=tick)
            block = quotes[q:q + 24]
            n = int.from_bytes(block[16:20], "little")
            block = quotes[q:q + 24 + n * 50]
            good = len(block) == 24 + n * 50 and block[:4] == b"EQB1" and \
                crc32c(block[:20] + block[24:]) == int.from_bytes(block[20:24], "little") and \
                int.from_bytes(block[8:16], "little") == tick
            if not good:
                raise Fault("E_FRAME_CRC", "no quote block of this tick stands here",
                            file=path[:-3] + "eqf", offset=q, tick=tick)
            previous, number = sha(frame), seq
            first = first or previous
            at, q = at + len(frame), q + len(block)
        if q != len(quotes):
            raise Fault("E_FRAME_CRC", "a quote block has no frame", file=path[:-3] + "eqf", offset=q)
    ends = [first and first.hex(), previous and previous.hex()]
    if ends != [manifest["journal"]["first_frame_sha256"], manifest["journal"]["last_frame_sha256"]]:
        raise Fault("E_JRN_CHAIN", "the journal does not begin or end with the manifest's frames", file=folder)


def check_stream(root, kind, day, entry):
    path = os.path.join(root, kind, day_name(day) + ".jsonl")
    data = read(path, missing=b"")
    if (data.count(b"\n"), sha(data).hex()) != (entry["count"], entry["sha256"]):
        raise Fault("E_MAN_HASH", "the stream is not the one that the manifest names", file=path)
    return data.decode().splitlines()


# ---- level A -----------------------------------------------------------------------------------------------

def trunc(a, b):
    return abs(a) // b * (1 if a >= 0 else -1)


class Token:
    def __init__(self, config, settings, tick):
        self.id, self.cluster, self.symbol = config["id"], config["cluster"], config["symbol"]
        self.reads = (config["profile"], config["instruments"])
        self.spot, self.n, self.release = config["profile"] == "SPOT_ONLY", config["fsm"], settings["release"]
        self.state, self.entered, self.cycle = 0, tick - 1, 0
        self.count = [0, 0, 0]
        self.active, self.bucket, self.sums, self.raised = set(), None, [0] * 5, set()

    def follow(self, had):
        """What the token was under another configuration, when it reads what it read."""
        if self.reads == had.reads:
            for name in ("state", "entered", "cycle", "count", "active", "bucket", "sums", "raised"):
                setattr(self, name, getattr(had, name))

    def ways(self, r, multiplier):
        n = self.n

        def scaled(x):
            return trunc(x * multiplier, 10_000)
        p1, f1, t1, u1 = scaled(n["spot_p1" if self.spot else "p1"]), scaled(n["f1"]), scaled(n["t1"]), scaled(n["u1"])
        pressure, fragile, trigger, unwind, cost = r.scores
        never, gate, release = (False, 0), n["cost_gate"], n["release"]
        if self.state == 0:
            return (pressure >= p1, n["h1"]), never, never
        if self.state == 1:
            return (fragile >= f1 and cost <= gate["fragile"], n["h2"]), \
                (pressure <= p1 // 2 and fragile <= f1 // 2, release["pressure"]), never
        if self.state == 2:
            return (trigger >= t1 and cost <= gate["ready"], n["h3"]), (fragile <= f1 // 2, release["fragile"]), never
        if self.state == 3:
            return (unwind >= u1 and (cost <= gate["unwind"] or unwind >= n["u_hard"]), n["hu"]), \
                (trigger <= t1 // 2 and unwind <= u1 // 2, release["ready"]), never
        if self.state == 4:
            still = self.spot or abs(r.oi_velocity) <= 1_000 or r.flags & OI_STALE
            return (unwind <= u1 * 4 // 10 and bool(still), n["h4"]), never, never
        dwelt = r.tick - self.entered >= n["rebuild"]["dwell"]
        return (pressure <= p1 and fragile <= f1 * 6 // 10 and unwind <= u1 * 4 // 10, n["h5"]), never, \
            (dwelt and pressure >= p1 and r.oi_velocity > 0, n["rebuild"]["persist"])

    def step(self, r, multiplier):
        """True when the tick's transition was a release or a rebuild; None without one."""
        ways = self.ways(r, multiplier)
        for at, (holds, _) in enumerate(ways):
            self.count[at] = self.count[at] + 1 if holds and (at == 0 or self.release) else 0
        for at, (_, persist) in enumerate(ways):
            if self.count[at] > 0 and self.count[at] >= persist:
                self.state = (self.state + 1) % 6 if at == 0 else (5 if at == 1 else 0)
                self.cycle += self.state == 0
                self.count, self.entered = [0, 0, 0], r.tick
                return at > 0
        return None

    def alerts(self, r, settings):
        """Kind of the entry, and the quarter of an hour when it was stable."""
        at, stirred = r.tick % 240, 1 <= self.state <= 4
        self.active.add(at) if stirred else self.active.discard(at)
        bucket = r.tick // BUCKET
        if bucket != self.bucket:
            self.bucket, self.sums = bucket, [0] * 5
        for place, amount in enumerate((1, self.state == 2, self.state == 3, self.state == 4, r.scores[4])):
            self.sums[place] += amount
        kind = self.state if self.entered == r.tick and stirred else None
        if self.entered == r.tick and self.state == 0:
            self.raised = set()
        quiet = r.flags & SUPPRESS
        if kind in self.raised or quiet:
            kind = None
        if kind:
            self.raised.add(kind)
        n, dominant, cost = self.sums[0], sum(self.sums[1:4]), self.sums[4]
        s = settings["alerts"]
        stable = None
        if r.tick % BUCKET == BUCKET - 1 and not quiet and self.state != 5 and n >= s["min_ticks"] \
                and dominant * 100 >= s["s1"] * n and cost <= s["c1"] * n:
            stable = (n, dominant, cost // n, bucket)
        return kind, stable


class Cluster:
    def __init__(self, ident, events, settings, tick):
        self.id, self.c, self.p = ident, settings["cluster"], settings["phase"]
        self.events = [event for event in events if event["cluster"] == ident]
        self.state, self.valid, self.forward, self.back, self.unwinding = 0, False, 0, 0, 0
        self.systemic, self.last = 0, {}
        self.index = max(sum(event["prep"] <= tick for event in self.events) - 1, 0)
        self.phase = self.by_time(tick) if self.events else 2
        self.latch, self.collapse, self.calm, self.ahead = None, 0, 0, False
        self.counts, self.raised = None, False

    def by_time(self, tick):
        event = self.events[self.index]
        return sum(tick >= event[name] for name in ("start", "mid", "end", "post"))

    def follow(self, had):
        """What the cluster was; its phase only while the event in which it stands is scheduled as it was."""
        for name in ("state", "valid", "forward", "back", "unwinding", "systemic", "last", "counts"):
            setattr(self, name, getattr(had, name))
        event = had.events[had.index] if had.events else None
        if event in self.events or (event is None and not self.events):
            self.index = self.events.index(event) if event else 0
            for name in ("phase", "latch", "collapse", "calm", "ahead"):
                setattr(self, name, getattr(had, name))

    def resume(self, tick, state, phase, ahead):
        self.state, self.phase = state, phase
        if self.events and self.by_time(tick) == 0 and phase != 0:
            self.index = max(self.index - 1, 0)
        self.ahead = ahead
        self.latch = (4 if phase == 4 else 3) if ahead else None

    def judge(self, members):
        states = [token.state for token, r in members if not r.flags & INACTIVE]
        active = [(token, r) for token, r in members if not r.flags & INACTIVE]
        n = len(states)
        self.valid = n >= self.c["min_members"]
        if not self.valid:
            return
        unwind, base = states.count(4), sum(s <= 1 for s in states)
        ready, fragile = unwind + states.count(3), unwind + states.count(3) + states.count(2)
        tiers = [r.tier for _, r in active]
        adj = 9_000 if tiers.count(3) * 2 >= n else 11_000 if tiers.count(4) * 2 >= n else 10_000
        shares = [(5_000, 7_000, 6_000), (4_000, 6_000, 7_000), (5_000, 7_000, 6_000),
                  (6_000, 7_000, 5_000), (8_000, 9_000, 8_000)][self.phase]
        heat, frag, unw = (min(max(-(-n * share * adj // 10**8), 1), n) for share in shares)
        stirred = [r.scores[4] for token, r in active if 1 <= token.state <= 4]
        self.counts = {"n": n, "unwind": unwind, "build": states.count(0), "stirred": len(stirred),
                       "cost": sum(stirred)}
        forward, persist = [(fragile >= heat, self.c["c1"]), (ready >= frag, self.c["c2"]),
                            (unwind >= unw, self.c["c_unwind"]),
                            (unwind < unw and unwind <= self.unwinding, self.c["c3"]),
                            (base * 2 > n, self.c["c4"])][self.state]
        back = (self.state == 1 and fragile * 2 < heat) or (self.state == 2 and ready == 0 and fragile < heat)
        self.unwinding = unwind
        self.forward, self.back = self.forward + 1 if forward else 0, self.back + 1 if back else 0
        before = self.state
        if self.forward >= persist:
            self.state, self.forward, self.back = (self.state + 1) % 5, 0, 0
        elif self.back >= self.c["release"]:
            self.state, self.forward, self.back = 4, 0, 0
        return before

    def systemics(self, tick, before):
        if not self.valid:
            return
        if self.state not in (2, 3):
            self.systemic = 0
            return
        self.systemic += 1
        escalated = before == 2 and self.state == 3
        if (self.systemic >= 5 or escalated) and self.last.get(self.state) != tick // BUCKET:
            self.last[self.state] = tick // BUCKET
            self.raised = True

    def advance(self, tick):
        if not self.events:
            return
        if tick % 4 == 0:
            n = self.counts["n"] if self.counts else 0

            def of(share):
                return min(max(-(-n * share // 10_000), 1), max(n, 1))
            hit = self.valid and self.state == 3 and self.phase in (1, 2) and \
                self.counts["unwind"] >= of(self.p["collapse_ratio"])
            self.collapse = self.collapse + 1 if hit else 0
            if self.collapse >= self.p["e1"]:
                self.latch = max(self.latch or 0, 3)
            over = self.valid and self.state == 4 and self.phase == 3 and \
                self.counts["build"] >= of(self.p["post_ratio"])
            self.calm = self.calm + 1 if over else 0
            if self.calm >= self.p["e2"]:
                self.latch = 4
        if self.phase == 4 and self.index + 1 < len(self.events) and tick >= self.events[self.index + 1]["prep"]:
            self.index, self.phase, self.latch = self.index + 1, 0, None
            self.collapse, self.calm, self.ahead = 0, 0, False
            return
        on_time = self.by_time(tick)
        self.ahead = self.latch is not None and self.latch > on_time
        if self.phase < max(self.latch or 0, on_time):
            self.phase += 1


class Row:
    __slots__ = ("tick", "token", "liq", "state", "tier", "cluster", "phase", "flags", "mask", "direction",
                 "scores", "delta", "oi_velocity", "spread", "mark")

    def __init__(self, data, offset):
        (self.tick, self.token, self.liq, self.state, self.tier, self.cluster, self.phase, self.flags, self.mask,
         self.direction, *scores, self.delta, self.oi_velocity, self.spread, self.mark, _) = \
            RECORD.unpack_from(data, offset)
        self.scores = scores


def fixed(value, digits):
    text = str(abs(value)).rjust(digits + 1, "0")
    return ("-" if value < 0 else "") + text[:-digits] + "." + text[-digits:]


WEIGHT = [0, 500_000, 800_000, 1_000_000, 200_000]


def confidence(settings, activity, cost, cluster):
    a, b, c = settings["alerts"]["weights"]
    total = a * activity + b * (1_000_000 - cost) + c * WEIGHT[cluster]
    return min(max(total // (a + b + c) // 10_000, 0), 100)


def payload(kind, row, cluster, body):
    value = {"alert": dict(body, type=KINDS[kind]), "cluster_id": cluster.id, "cluster_state": CLUSTERS[cluster.state],
             "event_phase": PHASES[cluster.phase], "schema_version": "1.0", "tick_id": row.tick,
             "ts_ms": row.tick * 250}
    value["alert_id"] = sha(canonical(value))[:16].hex()
    return canonical(value).decode()


def token_alert(settings, kind, token, row, cluster, stable):
    if stable:
        activity, cost = stable[1] * 1_000_000 // stable[0], stable[2]
    else:
        activity, cost = len(token.active) * 1_000_000 // 240, row.scores[4]
    effective = row.scores[4] * (7_000 if cluster.state == 3 else 10_000) // 10_000
    body = {"confidence": confidence(settings, activity, cost, cluster.state), "direction": DIRECTIONS[row.direction],
            "effective_cost": fixed(effective, 4), "fsm_state": FSM[token.state],
            "metrics": {"liquidation_imbalance": fixed(row.liq, 4), "mark_vs_mid_pct": fixed(row.mark, 8),
                        "oi_velocity": fixed(row.oi_velocity, 8), "spread_pct": fixed(row.spread, 8),
                        "trade_delta": fixed(row.delta, 4)},
            "scope": "TOKEN", "symbol": token.symbol, "tier": TIERS[row.tier], "token_id": token.id,
            "trigger_cost": fixed(row.scores[4], 4)}
    if stable:
        body.update(avg_trigger_cost=fixed(stable[2], 4), bucket_id=stable[3],
                    dominance_ratio=fixed(stable[1] * 10_000 // stable[0], 4))
    return payload(kind, row, cluster, body)


def cluster_alert(settings, cluster, row):
    counts = cluster.counts
    stirred, n = counts["stirred"], counts["n"]
    cost = counts["cost"] // stirred if stirred else 1_000_000
    body = {"affected_tokens": stirred, "scope": "CLUSTER", "total_tokens": n,
            "confidence": confidence(settings, stirred * 1_000_000 // max(n, 1), cost, cluster.state)}
    return payload(5, row, cluster, body)


class LevelA:
    def __init__(self, config, tick):
        self.settings = {"release": config["fsm"]["release"]["enabled"], "alerts": config["alerts"],
                         "cluster": config["cluster"], "phase": config["phase"]}
        self.multipliers = [config["tier"][name.lower()]["threshold_multiplier"] for name in TIERS]
        self.tokens = [Token(token, self.settings, tick) for token in config["token"]]
        idents = sorted({token.cluster for token in self.tokens})
        self.clusters = {i: Cluster(i, config["event"], self.settings, tick) for i in idents}

    def follow(self, had):
        """Goes on under another configuration, by the ids of tokens and clusters."""
        tokens = {token.id: token for token in had.tokens}
        for token in self.tokens:
            if token.id in tokens:
                token.follow(tokens[token.id])
        for ident, cluster in self.clusters.items():
            if ident in had.clusters:
                cluster.follow(had.clusters[ident])

    def resume(self, rows):
        for token, row in zip(self.tokens, rows):
            token.state, token.entered = row.state, row.tick
            self.clusters[token.cluster].resume(row.tick, row.cluster, row.phase, bool(row.flags & OVERRIDE))

    def step(self, rows):
        """Differences of the tick's records as (token, field, expected, actual), and the tick's alerts."""
        tick, alternative, raised = rows[0].tick, {}, {}
        for token, row in zip(self.tokens, rows):
            alternative[token.id] = token.step(row, self.multipliers[row.tier])
        for ident, cluster in self.clusters.items():
            cluster.raised = False
            if tick % 4 == 0:
                members = [(t, r) for t, r in zip(self.tokens, rows) if t.cluster == ident]
                before = cluster.judge(members)
                cluster.systemics(tick, before)
        for cluster in self.clusters.values():
            cluster.advance(tick)
        for token, row in zip(self.tokens, rows):
            raised[token.id] = token.alerts(row, self.settings)
        differences = []
        for token, row in zip(self.tokens, rows):
            cluster, (kind, stable) = self.clusters[token.cluster], raised[token.id]
            mask = (1 << kind if kind else 0) | (64 if stable else 0) | (32 if cluster.raised else 0)
            for field, due, got in (
                    ("fsm_state", token.state, row.state), ("cluster_state", cluster.state, row.cluster),
                    ("event_phase", cluster.phase, row.phase),
                    ("flags.ALT_EDGE", bool(alternative[token.id]), bool(row.flags & ALT_EDGE)),
                    ("flags.PHASE_OVERRIDE", cluster.ahead, bool(row.flags & OVERRIDE)),
                    ("flags.CLUSTER_TICK", tick % 4 == 0, bool(row.flags & CLUSTER_TICK)),
                    ("alert_mask", mask, row.mask)):
                if due != got:
                    differences.append((token.id, field, due, got))
        alerts = [cluster_alert(self.settings, c, rows[0]) for c in self.clusters.values() if c.raised]
        for kind in (4, 3, 2, 6, 1):
            for token, row in zip(self.tokens, rows):
                own, stable = raised[token.id]
                if own == kind or (kind == 6 and stable):
                    alerts.append(token_alert(self.settings, kind, token, row, self.clusters[token.cluster],
                                              stable if kind == 6 else None))
        return differences, alerts


class Records:
    """Records of all tokens by their ticks, whatever segments they lie in."""

    def __init__(self):
        self.parts, self.begins, self.newest = {}, set(), {}

    def add(self, entry, data):
        # The front of a log may be missing, its end is where the manifest says.
        first, last = entry["last_tick"] + 1 - (len(data) - 64) // 64, entry["last_tick"]
        self.parts.setdefault(entry["token_id"], []).append((first, last, data))
        if first == entry["first_tick"] and data[32:64] == bytes(32):
            self.begins.add(first)

    def at(self, token, tick):
        first, last, data = self.newest.get(token, (1, 0, b""))
        if first <= tick <= last:
            return data, 64 + 64 * (tick - first)
        for part in self.parts.get(token, ()):
            if part[0] <= tick <= part[1]:
                self.newest[token] = part
                return part[2], 64 + 64 * (tick - part[0])
        return None


class Configs:
    """Which configuration is in force at a tick."""

    def __init__(self, root, entries):
        self.root, self.entries, self.loaded = root, sorted((e["from_tick"], e["sha256"]) for e in entries), {}

    def digest(self, tick):
        digest = self.entries[0][1]
        for begin, other in self.entries:
            if begin <= tick:
                digest = other
        return digest

    def load(self, digest):
        if digest not in self.loaded:
            path = os.path.join(self.root, "configs", digest + ".json")
            text = read(path)
            if sha(text).hex() != digest:
                raise Fault("E_MAN_HASH", "the archived configuration is another than its name says", file=path)
            config = json.loads(text)
            self.loaded[digest] = config, sorted(token["id"] for token in config["token"])
        return self.loaded[digest]


class Walk:
    """Level A from a tick on: the machine, changed wherever the configuration changes."""

    def __init__(self, records, configs):
        self.records, self.configs, self.machine, self.digest = records, configs, None, None

    def rows(self, tick, digest):
        """Records of the tick and their bytes; nothing when one is missing."""
        places = [self.records.at(token, tick) for token in self.configs.load(digest)[1]]
        if None in places:
            return None, b""
        return [Row(*place) for place in places], b"".join(data[at:at + 64] for data, at in places)

    def step(self, tick, is_middle=False):
        digest = self.configs.digest(tick)
        rows, data = self.rows(tick, digest)
        if rows is None:
            raise Fault("E_LOG_OFFSET", "a token has no record of the tick", tick=tick)
        if self.machine is None or digest != self.digest or rows[0].flags & COLD:
            machine = LevelA(self.configs.load(digest)[0], tick)
            if self.machine is not None and not rows[0].flags & COLD:
                machine.follow(self.machine)
            self.machine, self.digest = machine, digest
        if is_middle:
            self.machine.resume(rows)
            return rows, data, [], []
        return rows, data, *self.machine.step(rows)


def lead_from(walk, day):
    """First tick of the records before the day that make its counters exact, and whether they begin anew there."""
    tick = day * DAY_TICKS
    for first in range(tick - 1, tick - LEAD - 1, -1):
        try:
            rows, _ = walk.rows(first, walk.configs.digest(first))
        except Fault as fault:
            # A bundle has the configuration of the last records alone.
            if fault.code != "E_MAN_MISSING":
                raise
            rows = None
        if rows is None:
            break
        tick = first
        if rows[0].flags & COLD:
            return tick, True
    return tick, tick in walk.records.begins


def level_a(root, day, manifest, before, logs, lines):
    """First difference or None, ticks compared."""
    records = Records()
    entries = manifest["configs"]
    if before:
        entries = before["configs"] + entries
        for entry in before["tokens"]:
            data = read(log_path(root, entry["token_id"], day - 1, entry["segment"]), missing=b"")
            if data:
                records.add(entry, data)
    seen = {}
    for entry in manifest["tokens"]:
        token = entry["token_id"]
        seen[token] = seen.get(token, -1) + 1
        records.add(entry, logs[token][seen[token]])
    walk = Walk(records, Configs(root, entries))
    first = min(entry["first_tick"] for entry in manifest["tokens"])
    compare_from = first
    if before and first == day * DAY_TICKS:
        begin, is_new = lead_from(walk, day)
        if not is_new and day * DAY_TICKS - begin < LEAD:
            # Nothing stands before the records, so their own beginning makes the counters exact.
            compare_from = begin + LEAD
            lines = [line for line in lines if json.loads(line)["tick_id"] >= compare_from]
        for tick in range(begin, first):
            walk.step(tick, is_middle=tick == begin and not is_new)
    chain, found, count = bytes.fromhex(manifest["state_chain_open"]), iter(lines), 0
    for tick in range(first, (day + 1) * DAY_TICKS):
        rows, data, differences, alerts = walk.step(tick, is_middle=walk.machine is None and compare_from > first)
        if rows[0].flags & COLD:
            chain = bytes.fromhex(walk.digest)
        chain = sha(chain + data)
        if tick < compare_from:
            continue
        count += 1
        for token, field, due, got in differences:
            return {"tick": tick, "token": token, "field": field, "expected": due, "actual": got}, count - 1
        for alert in alerts:
            line = next(found, None)
            if line != alert:
                return {"tick": tick, "token": None, "field": "alerts", "expected": alert, "actual": line}, count - 1
    extra = next(found, None)
    if extra is not None:
        return {"tick": None, "token": None, "field": "alerts", "expected": None, "actual": extra}, count
    if chain.hex() != manifest["state_chain_close"]:
        return {"tick": None, "token": None, "field": "state_chain", "expected": chain.hex(),
                "actual": manifest["state_chain_close"]}, count
    return None, count


def verify(root, day):
    manifest = load_manifest(root, day)
    signed, unlinked = check_signature(root, day, manifest)
    before = check_chain(root, day, manifest)
    check_documents(root, day, manifest)
    logs = check_logs(root, day, manifest, before)
    check_journal(root, day, manifest)
    lines = check_stream(root, "alerts", day, manifest["alerts"])
    check_stream(root, "transitions", day, manifest["transitions"])
    difference, ticks = level_a(root, day, manifest, before, logs, lines)
    return {"day": day_name(day), "signed": signed, "unlinked": unlinked, "ticks": ticks, "tokens": len(logs),
            "day_root": manifest["day_root"], "state_chain": manifest["state_chain_close"],
            "first_mismatch": difference, "verdict": "BREACH" if difference else "IDENTICAL"}


# ---- bundles -----------------------------------------------------------------------------------------------

def tar_header(name, size):
    head = bytearray(512)
    for at, text in ((0, name), (100, "0000444\0"), (108, "0000000\0"), (116, "0000000\0"), (124, f"{size:011o}\0"),
                     (136, "00000000000\0"), (148, " " * 8), (156, "0"), (257, "ustar\x0000")):
        head[at:at + len(text)] = text.encode()
    head[148:156] = f"{sum(head):06o}\0 ".encode()
    return bytes(head)


def unpack(bundle, root):
    """Writes the files of a bundle below `root`; every byte of it is compared with its index. Its day."""
    with open(bundle, "rb") as file:
        def part(name, size):
            at = file.tell()
            data = file.read(512 + size + -size % 512)
            if data[:512] != tar_header(name, size) or len(data) != 512 + size + -size % 512 or any(data[512 + size:]):
                raise Fault("E_MAN_HASH", f"the bundle does not hold {name} in its place", file=bundle, offset=at)
            return data[512:512 + size]

        head = file.read(512)
        try:
            size = int(head[124:135], 8)
            file.seek(0)
            text = part("BUNDLE.json", size)
            index = json.loads(text)
            names = [entry["name"] for entry in index["files"]]
            good = canonical(index) == text and index["schema_version"] == "1.0" and len(set(names)) == len(names)
            good = good and not any(name.startswith("/") or ".." in name.split("/") for name in names)
        except (ValueError, KeyError, TypeError) as error:
            raise Fault("E_MAN_HASH", f"the bundle has no index: {error}", file=bundle) from error
        if not good:
            raise Fault("E_MAN_HASH", "the index of the bundle is not canonical", file=bundle)
        for entry in index["files"]:
            data = part(entry["name"], entry["bytes"])
            if sha(data).hex() != entry["sha256"]:
                raise Fault("E_MAN_HASH", "a file is not what the index names", file=entry["name"])
            path = os.path.join(root, entry["name"])
            os.makedirs(os.path.dirname(path), exist_ok=True)
            with open(path, "wb") as target:
                target.write(data)
        if file.read() != bytes(1024):
            raise Fault("E_MAN_HASH", "the bundle does not end where it says", file=bundle)
    day = day_of(index["date"])
    if load_manifest(root, day)["engine_version"] != index["engine_version"]:
        raise Fault("E_MAN_HASH", "the index is of another version than the manifest", file=bundle)
    return day


def place_leads(root, day):
    """Proves the end of the day before by its Merkle paths and puts it where its log belongs."""
    before = [other for other in manifest_days(root) if other < day]
    if not os.path.isdir(os.path.join(root, "lead")):
        return
    check_signature(root, before[-1], load_manifest(root, before[-1]))
    for entry in load_manifest(root, before[-1])["tokens"]:
        stem = os.path.join(root, "lead", str(entry["token_id"]))
        proof, data = json.loads(read(stem + ".json")), read(stem + ".bin")
        if proof["segment"] != entry["segment"]:
            continue
        row, at = -(-entry["records"] // 1000), proof["first_chunk"]
        chunks = [data[i:i + 64_000] for i in range(64, len(data), 64_000)]
        good = at + len(chunks) == row and len(proof["paths"]) == len(chunks) and \
            len(data) - 64 == (entry["records"] - at * 1000) * 64
        for number, (chunk, steps) in enumerate(zip(chunks, proof["paths"]), at):
            node, place, width, left = sha(b"\x02" + chunk), number, row, list(steps)
            while good and width > 1:
                if place % 2 or place + 1 < width:
                    step = left.pop(0) if left else {"is_left": None, "sha256": ""}
                    good = step["is_left"] == (place % 2 == 1)
                    other = unhex(step["sha256"])
                    node = sha(b"\x01" + other + node) if step["is_left"] else sha(b"\x01" + node + other)
                place, width = place // 2, (width + 1) // 2
            good = good and not left and node.hex() == entry["record_root"]
        if not good:
            raise Fault("E_MAN_ROOT", "the chunks of the day before do not prove themselves", file=stem + ".bin")
        path = log_path(root, entry["token_id"], before[-1], entry["segment"])
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "wb") as file:
            file.write(data)


def main():
    parser = argparse.ArgumentParser(description="Verifies an engine's day from files alone.")
    source = parser.add_mutually_exclusive_group(required=True)
    source.add_argument("--engine-dir")
    source.add_argument("--bundle")
    parser.add_argument("--day", help="YYYY-MM-DD; all days that have a manifest without it")
    options = parser.parse_args()
    status, scratch = 0, None
    try:
        if options.bundle:
            scratch = tempfile.TemporaryDirectory()
            options.engine_dir = scratch.name
            options.day = day_name(unpack(options.bundle, scratch.name))
            place_leads(scratch.name, day_of(options.day))
        days = [day_of(options.day)] if options.day else manifest_days(options.engine_dir)
        if not days:
            raise Fault("E_MAN_MISSING", "no day has a manifest", file=options.engine_dir)
        for day in days:
            report = verify(options.engine_dir, day)
            print(json.dumps(report, sort_keys=True))
            status = max(status, 15 if report["first_mismatch"] else 0)
    except Fault as fault:
        print(json.dumps(dict(fault.where, code=fault.code, what=fault.what, verdict="FAULT"), sort_keys=True))
        status = family(fault.code)
    sys.exit(status)


if __name__ == "__main__":
    main()
