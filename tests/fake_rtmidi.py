"""As much of python-rtmidi as is used, with ports that are made up."""

PORTS = {
    "MidiIn": ["Digital Piano 20:0", "Pad"],
    "MidiOut": ["Digital Piano 20:0", "Synth One", "Synth Two"],
}


class RtMidiError(Exception):
    pass


def get_compiled_api():
    return ["absent", "present"]


class _Client:
    def __init__(self, system, name):
        if system == "absent":
            raise RtMidiError("there is no such server")

    def get_ports(self):
        return PORTS[type(self).__name__]

    def open_port(self, number, name):
        if self.get_ports()[number] == "Pad":
            raise RtMidiError("busy")

    def close_port(self):
        pass


class MidiIn(_Client):
    def ignore_types(self, sysex, timing, active_sense):
        pass

    def set_callback(self, hear):
        """Play a note at once."""
        hear(([0x90, 60, 80], 0.0), None)
        hear(([0x80, 60, 0], 0.1), None)


class MidiOut(_Client):
    def send_message(self, message):
        raise RtMidiError("cable pulled")
