"""Brings up loopback in a new network namespace and becomes the program given. Needs no tool but Python."""

import fcntl
import os
import socket
import struct
import sys

GET_FLAGS, SET_FLAGS, UP = 0x8913, 0x8914, 1

with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as control:
    flags = struct.unpack("16sh", fcntl.ioctl(control, GET_FLAGS, struct.pack("16sh", b"lo", 0)))[1]
    fcntl.ioctl(control, SET_FLAGS, struct.pack("16sh", b"lo", flags | UP))
os.chdir("kvctl")
os.execv(sys.argv[1], sys.argv[1:])
