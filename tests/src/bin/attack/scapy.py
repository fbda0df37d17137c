from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.dhcp6 import *
from scapy.layers.inet6 import *
from scapy.layers.l2 import *
from scapy.packet import Raw
from scapy.sendrecv import sendp

me, host, all = "02:fc:00:00:00:66", "02:fc:00:00:00:fe", "33:33:00:00:00:01"
good, router, veth, container = ("02:fc:00:00:00:" + end for end in ("01", "f0", "7e", "c0"))
E = Ether(src=me, dst=all)
I = IPv6(src="fe80::66", dst="ff02::1", hlim=255)
D = IPv6ExtHdrDestOpt()
RA = ICMPv6ND_RA() / ICMPv6NDOptPrefixInfo(prefix="2001:db8:bad::", prefixlen=64)
LL = ICMPv6NDOptDstLLAddr
Echo = ICMPv6EchoRequest()
# A flow of the host's to the Internet.
Flow = IPv6(src="2001:db8:1::1", dst="2001:db8:53::53") / UDP(sport=40053, dport=53)
Server = UDP(sport=547, dport=546)


def NA(target, to="fe80::1", flags="SO", source=None):
    """Says that `target` is here."""
    ether = E if to == "ff02::1" else Ether(src=me, dst=host)
    said = ICMPv6ND_NA(tgt=target, R=int("R" in flags), S=int("S" in flags), O=int("O" in flags))
    return ether / IPv6(src=source or target, dst=to, hlim=255) / said / LL(lladdr=me)


def NS(target):
    """Asks for `target`."""
    end = int(target.rsplit(":", 1)[1], 16)
    ether = Ether(src=me, dst=f"33:33:ff:00:00:{end:02x}")
    ip = IPv6(src="fe80::66", dst=f"ff02::1:ff00:{end:x}", hlim=255)
    return ether / ip / ICMPv6ND_NS(tgt=target) / ICMPv6NDOptSrcLLAddr(lladdr=me)


def MLD(number, scope=2, count=70):
    """A report of groups that no other report has."""
    records = b"".join(
        b"\4\0\0\0" + bytes([255, scope]) + bytes(10) + number.to_bytes(2, "big") + i.to_bytes(2, "big")
        for i in range(count)
    )
    ip = IPv6(src="fe80::66", dst="ff02::16", hlim=1) / IPv6ExtHdrHopByHop(options=[RouterAlert()])
    report = ICMPv6MLReport2(records_number=count) / Raw(records)
    return Ether(src=me, dst="33:33:00:00:00:16") / ip / report
