//! Who is on a TAP's egress hook, in which order. TCX is a chain that anyone privileged may join, and a program
//! in front of ours that lets a frame pass keeps it from us.
//!
//! The kernel tells the order only to holders of CAP_NET_ADMIN (`BPF_PROG_QUERY`), and the daemon has no
//! capability left. So a process of its own asks: it can read a number, ask this one question, write the answer,
//! and is killed at any other system call.

use std::{
    fs::File,
    io::{self, Read as _, Write as _},
    os::fd::OwnedFd,
    process,
    time::Duration,
};

use aya_obj::generated::{bpf_attach_type, bpf_cmd};
use nix::{
    sys::{
        prctl,
        signal::{SigHandler, Signal, signal},
        socket::{
            AddressFamily, SockFlag, SockType, setsockopt, socketpair, sockopt::ReceiveTimeout,
        },
        time::TimeVal,
    },
    unistd::{ForkResult, fork},
};
use tokio::{io::AsyncReadExt as _, net::unix::pipe};

use super::{
    privilege::{self, Kept, PrivilegeError},
    seccomp, syscall,
};

/// Programs that a chain has room for (`BPF_MPROG_MAX`, Linux 6.6).
const ROOM: usize = 64;

/// The interface that every network namespace has.
const LOOPBACK: u32 = 1;

/// How long an answer may take that takes microseconds.
const ANSWER: Duration = Duration::from_secs(1);

/// The ids of the programs on the interface's TCX egress hook, in the order in which they run.
///
/// # Errors
///
/// What bpf(2) says: EINVAL where the kernel has no TCX, ENODEV for no such interface, EPERM without
/// CAP_NET_ADMIN.
pub fn egress(interface: u32) -> io::Result<Vec<u32>> {
    let mut ids = [0; ROOM];
    let count = query(interface, &mut ids)?;
    Ok(ids.into_iter().take(count).collect())
}

fn query(interface: u32, ids: &mut [u32; ROOM]) -> io::Result<usize> {
    let mut attr = syscall::attributes();
    attr.query.__bindgen_anon_1.target_ifindex = interface;
    attr.query.attach_type = bpf_attach_type::BPF_TCX_EGRESS as u32;
    attr.query.prog_ids = ids.as_mut_ptr() as u64;
    attr.query.__bindgen_anon_2.prog_cnt = ROOM as u32;
    syscall::bpf(bpf_cmd::BPF_PROG_QUERY, &mut attr)?;
    // SAFETY: these are the attributes of a query.
    let answer = unsafe { attr.query };
    // SAFETY: both members of the union are the same number.
    Ok(unsafe { answer.__bindgen_anon_2.prog_cnt } as usize)
}

/// The process that asks. It ends with this.
#[derive(Debug)]
pub struct ChainReader {
    questions: File,
    /// The process has the other end, and nobody ever writes to it.
    life: OwnedFd,
}

impl ChainReader {
    /// Starts the process; `None`: the kernel has no TCX. To be called while this process has a single thread,
    /// and its capabilities.
    ///
    /// # Errors
    ///
    /// The kernel gives no process, or its privileges cannot be taken from it.
    pub fn start() -> Result<Option<Self>, PrivilegeError> {
        match egress(LOOPBACK) {
            Ok(_) => {}
            Err(error) if error.raw_os_error() == Some(libc::EINVAL) => return Ok(None),
            Err(error) => return Err(error.into()),
        }
        let (questions, answers) =
            socketpair(AddressFamily::Unix, SockType::SeqPacket, None, SockFlag::SOCK_CLOEXEC)
                .map_err(io::Error::from)?;
        let (life, others) = io::pipe()?;
        // SAFETY: there is no other thread that could hold a lock at this moment.
        match unsafe { fork() }.map_err(io::Error::from)? {
            ForkResult::Parent { .. } => {
                let limit = TimeVal::new(ANSWER.as_secs().cast_signed(), 0);
                setsockopt(&questions, ReceiveTimeout, &limit).map_err(io::Error::from)?;
                Ok(Some(Self { questions: questions.into(), life: life.into() }))
            }
            ForkResult::Child => {
                drop((questions, life));
                let ended = confine().and_then(|()| Ok(answer(&answers.into())?));
                if let Err(error) = ended {
                    let _unread =
                        writeln!(io::stderr(), "netmon: the reader of egress chains: {error}");
                }
                drop(others);
                process::exit(1)
            }
        }
    }

    /// As [`egress`], without a privilege.
    ///
    /// # Errors
    ///
    /// The kernel's word, or the process has ended.
    pub fn egress(&self, interface: u32) -> io::Result<Vec<u32>> {
        (&self.questions).write_all(&interface.to_ne_bytes())?;
        let mut answer = [0; 4 * (ROOM + 1)];
        let length = (&self.questions).read(&mut answer)?;
        let answer = answer.get(..length).unwrap_or_default();
        let mut words = answer.as_chunks().0.iter().map(|word| u32::from_ne_bytes(*word));
        match words.next() {
            Some(0) => Ok(words.collect()),
            Some(errno) => Err(io::Error::from_raw_os_error(errno.cast_signed())),
            None => Err(io::ErrorKind::UnexpectedEof.into()),
        }
    }

    /// Waits until the process has ended, which nobody asks it to. Called within a tokio runtime.
    ///
    /// # Errors
    ///
    /// The descriptor cannot be polled.
    pub fn ended(&self) -> io::Result<impl Future<Output = ()> + use<>> {
        let mut life = pipe::Receiver::from_owned_fd(self.life.try_clone()?)?;
        Ok(async move {
            let _end = life.read_u8().await;
        })
    }
}

/// The process gives up all but what the question takes.
fn confine() -> Result<(), PrivilegeError> {
    prctl::set_name(c"netmon-chain").map_err(io::Error::from)?;
    prctl::set_pdeathsig(Signal::SIGKILL).map_err(io::Error::from)?;
    // It ends when the daemon has, and not when a terminal or systemd asks the whole group.
    for asked in [Signal::SIGTERM, Signal::SIGINT, Signal::SIGHUP] {
        // SAFETY: no handler is put in place.
        unsafe { signal(asked, SigHandler::SigIgn) }.map_err(io::Error::from)?;
    }
    privilege::drop_on_this_thread(Kept::NetAdmin)?;
    seccompiler::apply_filter(&seccomp::only_questions()?)?;
    Ok(())
}

/// Answers with an errno (0: none) and the ids, until the daemon has ended.
fn answer(mut questions: &File) -> io::Result<()> {
    let mut interface = [0; 4];
    while questions.read(&mut interface)? == interface.len() {
        let mut ids = [0; ROOM];
        let (errno, count) = match query(u32::from_ne_bytes(interface), &mut ids) {
            Ok(count) => (0, count),
            Err(error) => (error.raw_os_error().unwrap_or(libc::EIO), 0),
        };
        let mut answer = [0; 4 * (ROOM + 1)];
        let words = [errno.cast_unsigned()].into_iter().chain(ids).take(count + 1);
        for (bytes, word) in answer.as_chunks_mut().0.iter_mut().zip(words) {
            *bytes = word.to_ne_bytes();
        }
        questions.write_all(answer.get(..4 * (count + 1)).unwrap_or_default())?;
    }
    Ok(())
}
