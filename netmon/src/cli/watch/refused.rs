//! The refused frames of `netmon watch --drops`.

use std::{
    future,
    io::{self, Write},
};

use jiff::Timestamp;
use netmon_api::v0::{self, netmon_service_watch_drops_response::Event};
use serde::Serialize;
use tonic::{Status, Streaming};

use super::{Failure, Format, rows};

type Message = v0::NetmonServiceWatchDropsResponse;

const CAUSE: &str = "this reader was too slow for the samples";
const REMEDY: &str = "netmon drops has the totals";

/// The next message, where they are watched at all.
pub(super) async fn next(
    stream: &mut Option<Streaming<Message>>,
) -> Result<Option<Message>, Status> {
    match stream {
        Some(stream) => stream.message().await,
        None => future::pending().await,
    }
}

pub(super) fn show(message: &Message, format: Format) -> Result<(), Failure> {
    let mut out = io::stdout().lock();
    match (&message.event, format) {
        (_, Format::Json) => json(message, &mut out)?,
        (Some(Event::Refused(frame)), Format::Text) => {
            writeln!(out, "{}", line(frame, Timestamp::now()))?;
        }
        (Some(Event::Missed(frames)), Format::Text) => {
            let now = Timestamp::now();
            writeln!(out, "{now:.0} ! {frames} refused frames not shown: {CAUSE} ({REMEDY})")?;
        }
        (None, Format::Text) => {}
    }
    Ok(out.flush()?)
}

/// One message for programs, in one line.
pub(in crate::cli) fn json(message: &Message, out: &mut impl Write) -> Result<(), Failure> {
    let line = match &message.event {
        Some(Event::Refused(frame)) => Line::Refused(rows::Refused::from(frame)),
        Some(Event::Missed(frames)) => Line::Lost { frames: *frames, cause: CAUSE, remedy: REMEDY },
        None => return Ok(()),
    };
    serde_json::to_writer(&mut *out, &line)?;
    Ok(writeln!(out)?)
}

/// A frame for people.
pub(super) fn line(frame: &v0::RefusedFrame, now: Timestamp) -> String {
    let v0::RefusedFrame { tap, reason, source_mac, destination_mac, length, .. } = frame;
    let sign = if frame.observed { 'o' } else { 'x' };
    let direction = rows::direction(frame.direction());
    let carried = match (frame.source.as_str(), frame.icmp_type) {
        ("", _) => format!("ethertype {:#06x}", frame.ethertype),
        (source, Some(kind)) => format!("{source} > {} icmpv6 {kind}", frame.destination),
        (source, None) => {
            format!("{source} > {} next header {}", frame.destination, frame.next_header)
        }
    };
    format!(
        "{now:.0} {sign} {tap} {direction} {reason}: {source_mac} > {destination_mac}, {carried}, {length} bytes"
    )
}

#[derive(Serialize)]
#[serde(tag = "event", rename_all = "lowercase")]
enum Line<'a> {
    Refused(rows::Refused<'a>),
    Lost { frames: u64, cause: &'a str, remedy: &'a str },
}
