"""A storage SCU that sends any bytes as a data set, as no toolkit does. Source: PS3.7 9.3.1, PS3.8 9.3."""
import socket
import struct

APPLICATION = b"1.2.840.10008.3.1.1.1"
COMMITMENT = "1.2.840.10008.1.20.1"


def _item(kind, data):
    return struct.pack(">BBH", kind, 0, len(data)) + data


def _pdu(kind, data):
    return struct.pack(">BBI", kind, 0, len(data)) + data


def _receive(connection, size):
    data = b""
    while len(data) < size:
        more = connection.recv(size - len(data))
        if not more:
            raise ConnectionError("the peer ended the connection")
        data += more
    return data


def _answer(connection):
    """The next PDU: kind, data."""
    kind, _, size = struct.unpack(">BBI", _receive(connection, 6))
    return kind, _receive(connection, size)


def _command_set(*elements):
    """Of (element number, value): a text, or a number of two bytes."""
    def element(number, data):
        return struct.pack("<HHI", 0, number, len(data)) + data

    values = ((number, struct.pack("<H", value) if isinstance(value, int) else value + b"\0" * (len(value) % 2)) for number, value in elements)
    body = b"".join(element(number, value) for number, value in values)
    return element(0x0000, struct.pack("<I", len(body))) + body


def _command(sop_class, sop_instance):
    return _command_set((0x0002, sop_class), (0x0100, 1), (0x0110, 1), (0x0700, 0), (0x0800, 1), (0x1000, sop_instance))


def _status(data):
    """Status (0000,0900) of a C-STORE-RSP in a P-DATA-TF."""
    at = 6  # behind length, context and flags of the first PDV
    while at + 8 <= len(data):
        group, number, size = struct.unpack("<HHI", data[at:at + 8])
        if (group, number) == (0, 0x0900):
            return struct.unpack("<H", data[at + 8:at + 10])[0]
        at += 8 + size
    raise ConnectionError("an answer without a status")


def associate(port, sop_class, syntax, calling="PACS", called="ANODE", seconds=60):
    """A connection with an association of one presentation context, of number 1; None: the node refused
    one or the other."""
    sop_class, syntax = sop_class.encode(), syntax.encode()
    context = _item(0x20, b"\1\0\0\0" + _item(0x30, sop_class) + _item(0x40, syntax))
    user = _item(0x50, _item(0x51, struct.pack(">I", 131072)) + _item(0x52, b"1.2.3.4"))
    request = struct.pack(">HH", 1, 0) + called.encode().ljust(16) + calling.encode().ljust(16) + bytes(32)
    connection = socket.create_connection(("127.0.0.1", port), seconds)
    connection.sendall(_pdu(1, request + _item(0x10, APPLICATION) + context + user))
    kind, answer = _answer(connection)
    at = answer.find(b"\x21\0")
    if kind == 2 and at >= 0 and answer[at + 6] == 0:
        return connection
    connection.close()
    return None


def _pdv(connection, flags, data):
    connection.sendall(_pdu(4, struct.pack(">IBB", len(data) + 2, 1, flags) + data))


def begin(connection, sop_class, sop_instance, data):
    """Sends the command and the beginning of a data set, and not its end."""
    _pdv(connection, 3, _command(sop_class.encode(), sop_instance.encode()))
    _pdv(connection, 0, data)


def put(connection, sop_class, sop_instance, data):
    """Sends one data set over an association of associate() and returns the status of the answer."""
    _pdv(connection, 3, _command(sop_class.encode(), sop_instance.encode()))
    pieces = [(0, data[at:at + 65536]) for at in range(0, len(data), 65536)] or [(0, b"")]
    pieces[-1] = (2, pieces[-1][1])
    for flags, piece in pieces:
        _pdv(connection, flags, piece)
    kind, answer = _answer(connection)
    if kind != 4:
        raise ConnectionError(f"the peer answered with a PDU of type {kind}")
    return _status(answer)


def commitment_report(transaction, instances):
    """The data set of an N-EVENT-REPORT that says of instances that they are kept. Source: PS3.4 J.3.3."""
    def element(group, number, kind, value):
        value += b"\0" * (len(value) % 2)
        size = struct.pack("<HI", 0, len(value)) if kind == b"SQ" else struct.pack("<H", len(value))
        return struct.pack("<HH", group, number) + kind + size + value

    items = (element(0x0008, 0x1150, b"UI", b"1.2.840.10008.5.1.4.1.1.88.34") + element(0x0008, 0x1155, b"UI", uid.encode()) for uid in instances)
    sequence = b"".join(struct.pack("<HHI", 0xFFFE, 0xE000, len(item)) + item for item in items)
    return element(0x0008, 0x1195, b"UI", transaction.encode()) + element(0x0008, 0x1199, b"SQ", sequence)


def report(connection, data):
    """Sends an N-EVENT-REPORT-RQ of storage commitment with data over an association of associate(), and returns the status of the answer."""
    _pdv(connection, 3, _command_set((0x0002, COMMITMENT.encode()), (0x0100, 0x0100), (0x0110, 1), (0x0800, 1), (0x1000, COMMITMENT.encode() + b".1"), (0x1002, 1)))
    for at in range(0, max(len(data), 1), 65536):
        _pdv(connection, 2 if at + 65536 >= len(data) else 0, data[at:at + 65536])
    kind, answer = _answer(connection)
    if kind != 4:
        raise ConnectionError(f"the peer answered with a PDU of type {kind}")
    return _status(answer)


def release(connection):
    connection.sendall(_pdu(5, bytes(4)))
    _answer(connection)
    connection.close()


def store(port, sop_class, sop_instance, syntax, data, calling="PACS", called="ANODE", seconds=60):
    """Sends one data set over an association of its own. Returns the status, or None: the node aborted
    or refused the presentation context."""
    connection = associate(port, sop_class, syntax, calling, called, seconds)
    if not connection:
        return None
    with connection:
        try:
            status = put(connection, sop_class, sop_instance, data)
            release(connection)
            return status
        except (ConnectionError, BrokenPipeError):
            return None


def replay(port, data, seconds=60):
    """Sends bytes as they are, whatever the node answers, and returns what it answered until it ended the
    connection; None: it did not in time."""
    with socket.create_connection(("127.0.0.1", port), seconds) as connection:
        answer = b""
        try:
            connection.sendall(data)
            while more := connection.recv(65536):
                answer += more
        except TimeoutError:
            return None
        except (ConnectionError, BrokenPipeError):
            pass
        return answer
