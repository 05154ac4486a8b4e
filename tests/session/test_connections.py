"""Connections of signals to callbacks."""

from psygnal import Signal

from napari_sam.session.connections import Connections


class Sender:
    first = Signal(int)
    second = Signal(int)


def test_callbacks_are_called_until_the_connections_are_closed():
    sender, heard = Sender(), []
    connections = Connections((sender.first, heard.append), (sender.second, heard.append))
    sender.first.emit(1)
    sender.second.emit(2)
    connections.close()
    connections.close()
    sender.first.emit(3)
    sender.second.emit(4)
    assert heard == [1, 2]
