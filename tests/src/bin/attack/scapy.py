from scapy.layers.inet import IP, TCP, UDP
from scapy.layers.inet6 import *
from scapy.layers.l2 import *
from scapy.packet import Raw
from scapy.sendrecv import sendp

me, host, all = "02:fc:00:00:00:66", "02:fc:00:00:00:fe", "33:33:00:00:00:01"
E = Ether(src=me, dst=all)
I = IPv6(src="fe80::66", dst="ff02::1", hlim=255)
D = IPv6ExtHdrDestOpt()
RA = ICMPv6ND_RA() / ICMPv6NDOptPrefixInfo(prefix="2001:db8:bad::", prefixlen=64)
LL = ICMPv6NDOptDstLLAddr
