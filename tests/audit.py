"""Audit messages: the rules of the schema of PS3.15 A.5.1 and of the tables of A.5.3 that the node
uses, the head of RFC 5424, and a syslog receiver by TLS (RFC 5425).
"""
import base64
import io
import re
import socket
import ssl
import threading
import xml.etree.ElementTree as ET

import pydicom

CODED = {"csd-code": True, "codeSystemName": True, "originalText": True, "displayName": False}
DATE = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z")
UID = re.compile(r"[0-2](\.(0|[1-9]\d*))*")
# Element: {attribute: required}, [(child, least, most)] in their order.
RULES = {
    "AuditMessage": ({}, [("EventIdentification", 1, 1), ("ActiveParticipant", 1, None), ("AuditSourceIdentification", 1, 1), ("ParticipantObjectIdentification", 0, None)]),
    "EventIdentification": ({"EventActionCode": False, "EventDateTime": True, "EventOutcomeIndicator": True}, [("EventID", 1, 1), ("EventTypeCode", 0, None), ("EventOutcomeDescription", 0, 1)]),
    "EventID": (CODED, []), "EventTypeCode": (CODED, []), "RoleIDCode": (CODED, []), "ParticipantObjectIDTypeCode": (CODED, []),
    "EventOutcomeDescription": ({}, []), "ParticipantObjectName": ({}, []), "ParticipantObjectQuery": ({}, []),
    "ActiveParticipant": ({"UserID": True, "AlternativeUserID": False, "UserName": False, "UserIsRequestor": True, "NetworkAccessPointID": False, "NetworkAccessPointTypeCode": False}, [("RoleIDCode", 0, None)]),
    "AuditSourceIdentification": ({"AuditEnterpriseSiteID": False, "AuditSourceID": True}, [("AuditSourceTypeCode", 0, None)]),
    "AuditSourceTypeCode": ({"csd-code": True}, []),
    "ParticipantObjectIdentification": ({"ParticipantObjectID": True, "ParticipantObjectTypeCode": False, "ParticipantObjectTypeCodeRole": False, "ParticipantObjectDataLifeCycle": False},
                                        [("ParticipantObjectIDTypeCode", 1, 1), ("ParticipantObjectName|ParticipantObjectQuery", 1, 1), ("ParticipantObjectDetail", 0, None), ("ParticipantObjectDescription", 0, None)]),
    "ParticipantObjectDetail": ({"type": True, "value": True}, []),
    "ParticipantObjectDescription": ({}, [("SOPClass", 0, None)]),
    "SOPClass": ({"UID": False, "NumberOfInstances": True}, []),
}
VALUES = {
    "EventActionCode": "C|R|U|D|E", "EventDateTime": DATE.pattern, "EventOutcomeIndicator": "0|4|8|12", "UserIsRequestor": "true|false", "NetworkAccessPointTypeCode": "[1-5]",
    "ParticipantObjectTypeCode": "[1-4]", "ParticipantObjectTypeCodeRole": r"[1-9]|1\d|2[0-6]", "UID": UID.pattern, "NumberOfInstances": r"\d+", "UserID": ".+", "AuditSourceID": ".+",
}
# What the tables of A.5.3 want of a message besides: type, participants by role or number, objects by type of their ID.
EVENTS = {
    "110100": ({"110120", "110121"}, ["110150"], []),
    "110114": ({"110122", "110123"}, None, []),
    "110113": ({"110126", "110129", "110133"}, None, ["110182"]),
    "110104": ({None}, ["110153", "110152"], ["110180", "2"]),
    "110112": ({None}, ["110153", "110152"], ["110181"]),
}


def _complaints(e):
    if e.tag not in RULES:
        yield f"{e.tag} is no element"
        return
    attributes, children = RULES[e.tag]
    for name, required in attributes.items():
        if required and name not in e.attrib:
            yield f"{e.tag} has no {name}"
    for name, value in e.attrib.items():
        if name not in attributes:
            yield f"{e.tag} has {name}"
        elif name in VALUES and not re.fullmatch(VALUES[name], value):
            yield f"{e.tag} {name}={value!r}"
    tags = [child.tag for child in e]
    want = "".join(f"((?:{tag}),){{{least},{'' if most is None else most}}}" for tag, least, most in children)
    if not re.fullmatch(want, "".join(tag + "," for tag in tags)):
        yield f"{e.tag} holds {tags}"
    if e.tag == "ParticipantObjectDetail":
        base64.b64decode(e.get("value"), validate=True)
    for child in e:
        yield from _complaints(child)


class Message:
    """One syslog message. wrong: what of it is not as it must be."""

    def __init__(self, line):
        self.line = line
        head = re.match(rf"<(84|85)>1 ({DATE.pattern}) (\S+) anode (\d+) DICOM\+RFC3881 - \ufeff(<.*)$", line)
        self.wrong = [] if head else [f"no head of RFC 5424: {line[:120]}"]
        self.root = root = ET.fromstring(head[5])
        self.pid = int(head[4])
        self.event = root.find("EventIdentification/EventID").get("csd-code")
        kind = root.find("EventIdentification/EventTypeCode")
        self.type = None if kind is None else kind.get("csd-code")
        self.outcome = root.find("EventIdentification").get("EventOutcomeIndicator")
        self.action = root.find("EventIdentification").get("EventActionCode")
        self.text = root.findtext("EventIdentification/EventOutcomeDescription", "")
        self.wrong += list(_complaints(root))
        types, roles, objects = EVENTS[self.event]
        if self.type not in types:
            self.wrong.append(f"{self.event} of type {self.type}")
        participants = root.findall("ActiveParticipant")
        if roles is not None and [p.find("RoleIDCode").get("csd-code") for p in participants] != roles:
            self.wrong.append(f"{self.event}: roles {[ET.tostring(p) for p in participants]}")
        if sum(p.get("UserIsRequestor") == "true" for p in participants) > 1:
            self.wrong.append("more than one requestor")
        if self.event == "110114" and "NetworkAccessPointID" not in participants[0].attrib:
            self.wrong.append("a login from nowhere")
        if [o.find("ParticipantObjectIDTypeCode").get("csd-code") for o in root.findall("ParticipantObjectIdentification")] != objects:
            self.wrong.append(f"{self.event}: objects {[ET.tostring(o) for o in root.findall('ParticipantObjectIdentification')]}")
        if (head[1] == "84") != (self.outcome != "0" or self.event == "110113"):
            self.wrong.append(f"PRI {head[1]} with outcome {self.outcome}")
        self.peers = [p.get("AlternativeUserID", "").removeprefix("AETITLES=") for p in participants]
        self.addresses = [p.get("NetworkAccessPointID") for p in participants]
        self.ids = [o.get("ParticipantObjectID") for o in root.findall("ParticipantObjectIdentification")]
        self.instances = sum(int(c.get("NumberOfInstances")) for c in root.iter("SOPClass"))
        details = {d.get("type"): base64.b64decode(d.get("value")).decode() for d in root.iter("ParticipantObjectDetail")}
        self.transfer_syntax = details.get("TransferSyntax")
        query = root.findtext("ParticipantObjectIdentification/ParticipantObjectQuery")
        self.query = None if query is None else base64.b64decode(query, validate=True)
        if (self.event == "110112") != bool(self.query and self.transfer_syntax):
            self.wrong.append(f"{self.event}: question {self.query} in {self.transfer_syntax}")
        self.classes = [c.get("UID") for c in root.iter("SOPClass")]

    def __repr__(self):
        return f"{self.event}/{self.type} {self.action} {self.outcome} {self.peers} {self.ids} {self.instances} {self.text!r}"


def questions(path):
    """The data sets of what was asked, of a trail in a file."""
    found = []
    for message in map(Message, path.read_text().splitlines()):
        if message.wrong:
            raise AssertionError(f"{message.wrong} in {message.line}")
        if message.query:
            implicit = message.transfer_syntax == "1.2.840.10008.1.2"
            found.append(pydicom.filereader.read_dataset(io.BytesIO(message.query), implicit, True))
    return found


class Receiver:
    """Takes syslog by TLS from who has a certificate of ca, until it is left. messages: texts, in the order in which they came."""

    def __init__(self, port, certificate, key, ca):
        self.messages, self.failures = [], []
        self.context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=ca)
        self.context.verify_mode = ssl.CERT_REQUIRED
        self.context.load_cert_chain(certificate, key)
        self.socket = socket.create_server(("127.0.0.1", port))
        self.open = []
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                connection, _ = self.socket.accept()
                self.open.append(connection)
            except OSError:
                return
            threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection):
        try:
            with self.context.wrap_socket(connection, server_side=True) as tls:
                self.open.append(tls)
                data = tls.makefile("rb")
                while digits := self._digits(data):
                    self.messages.append(data.read(int(digits)).decode())
        except (OSError, ValueError) as e:
            self.failures.append(str(e))

    @staticmethod
    def _digits(data):
        digits = b""
        while (c := data.read(1)) and c != b" ":
            digits += c
        return digits

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.shutdown(socket.SHUT_RDWR)
        self.socket.close()
        for one in self.open:
            try:
                one.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            one.close()
