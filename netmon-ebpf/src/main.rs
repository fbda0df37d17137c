//! netmon's kernel side: one program pair for all TAPs.
//!
//! - [`guest_to_host`]: XDP on the TAP. What is dropped here, the host never sees.
//! - [`host_to_guest`]: TC egress on the TAP.
//!
//! Both run the same line: read → parse → judge → claim → record. No `if` in this crate is about policy:
//! what a frame is and what becomes of it is decided in `netmon-common`, which is tested without a
//! kernel.
#![no_std]
#![no_main]
#![feature(asm_experimental_arch)]
#![expect(clippy::needless_pass_by_value, reason = "the macros hand the context over by value")]

mod advertised;
mod atomic;
mod bindings;
mod budgets;
mod clock;
mod groups;
mod macs;
mod maps;
mod members;
mod packet;
mod port;
mod record;
mod scratch;
mod steps;

use aya_ebpf::{
    bindings::{
        TC_ACT_SHOT,
        xdp_action::{XDP_DROP, XDP_PASS},
    },
    macros::{classifier, xdp},
    programs::{TcContext, XdpContext},
};
use netmon_common::{Kind, Reason, abi::Direction, judge, parse::parse};

use crate::{
    packet::{Packet, SkbPacket, XdpPacket},
    port::Port,
};

/// `TCX_NEXT` and `TC_ACT_UNSPEC`: the next program or filter decides. `TC_ACT_OK` would silence those
/// that an operator put behind this one.
const TC_NEXT: i32 = -1;

/// Guest → host.
#[xdp]
fn guest_to_host(context: XdpContext) -> u32 {
    if passes(&XdpPacket::new(&context), Direction::Ingress, ingress) { XDP_PASS } else { XDP_DROP }
}

/// Host → guest.
#[classifier]
fn host_to_guest(context: TcContext) -> i32 {
    if passes(&SkbPacket::new(&context), Direction::Egress, egress) { TC_NEXT } else { TC_ACT_SHOT }
}

#[inline(always)]
fn passes<P: Packet>(
    packet: &P,
    direction: Direction,
    line: impl FnOnce(&P, &Port) -> Result<Kind, Reason>,
) -> bool {
    let port = Port::find(packet.interface());
    let verdict = match &port {
        Ok(port) => line(packet, port),
        Err(reason) => Err(*reason),
    };
    record::outcome(packet, direction, port.as_ref().ok(), verdict).passes()
}

#[inline(always)]
fn ingress(packet: &XdpPacket, port: &Port) -> Result<Kind, Reason> {
    taken_in(packet, port).inspect_err(|reason| record::crowded(packet, port, *reason))
}

#[inline(always)]
fn taken_in(packet: &XdpPacket, port: &Port) -> Result<Kind, Reason> {
    let judged = steps::judge(packet, port)?;
    steps::check(port, &judged)?;
    steps::claim(port, &judged)?;
    groups::enter(packet, port, &judged)?;
    Ok(judged.kind())
}

#[inline(always)]
fn egress(packet: &SkbPacket, port: &Port) -> Result<Kind, Reason> {
    let frame = parse(packet, Direction::Egress)?;
    let pass = judge::egress(&frame)?;
    members::hear(port, packet, frame.source_mac, &pass);
    Ok(pass.kind)
}

/// The verifier refuses a program in which this can be reached.
#[cfg(target_arch = "bpf")]
#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}

#[unsafe(link_section = "license")]
#[unsafe(no_mangle)]
static LICENSE: [u8; 13] = *b"Dual MIT/GPL\0";
