//! What the kernel refuses to the started daemon is what the table says, call by call.

use std::{backtrace::Backtrace, collections::BTreeSet, io, process::Command, thread};

use netmon::kernel::seccomp::{BPF_COMMANDS, DENIED, filters};
use nix::errno::Errno;

/// Runs `work` on a thread that has the daemon's filters on.
fn filtered<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    thread::scope(|scope| {
        let thread = scope.spawn(|| {
            for filter in filters().expect("filters for this processor") {
                seccompiler::apply_filter(&filter).expect("CONFIG_SECCOMP_FILTER");
            }
            work()
        });
        thread.join().expect("no panic")
    })
}

/// With arguments that no call takes for good.
fn call(number: libc::c_long, first: libc::c_long) -> Result<(), Errno> {
    // SAFETY: the kernel refuses null pointers and unknown descriptors and flags, if nothing else.
    Errno::result(unsafe { libc::syscall(number, first, 0, 0, 0, 0, 0) }).map(drop)
}

/// Root, with all capabilities: EPERM is the filter's.
#[test]
fn bpf_takes_the_commands_of_the_table_and_no_other() {
    let allowed: BTreeSet<u32> = BPF_COMMANDS.iter().map(|(command, _)| *command as u32).collect();
    // Linux 6.18 has 38.
    let commands = 0..64;
    let passed = filtered(|| {
        let is_passed =
            |command: &u32| call(libc::SYS_bpf, libc::c_long::from(*command)) != Err(Errno::EPERM);
        commands.filter(is_passed).collect::<BTreeSet<u32>>()
    });
    assert_eq!(passed, allowed);
}

#[test]
fn the_calls_of_the_table_are_refused() {
    for (purpose, calls) in DENIED {
        for number in *calls {
            assert_eq!(filtered(|| call(*number, -1)), Err(Errno::EPERM), "{purpose}: {number}");
        }
    }
}

#[test]
fn no_user_namespace_is_to_be_had() {
    let clone = |flags: libc::c_int| {
        filtered(|| {
            // SAFETY: as fork(2); the child does nothing but end.
            let child =
                unsafe { libc::syscall(libc::SYS_clone, flags | libc::SIGCHLD, 0, 0, 0, 0) };
            if child == 0 {
                // SAFETY: it ends at once.
                unsafe { libc::_exit(0) };
            }
            Errno::result(child).map(drop)
        })
    };
    assert_eq!(clone(libc::CLONE_NEWUSER), Err(Errno::EPERM));
    assert_eq!(clone(0), Ok(()));
    assert_eq!(filtered(|| call(libc::SYS_clone3, 0)), Err(Errno::ENOSYS));
}

/// The numbers of another ABI of the same kernel are no way round.
#[cfg(target_arch = "x86_64")]
#[test]
fn no_call_has_a_second_name() {
    for number in [libc::SYS_bpf, libc::SYS_execve, libc::SYS_clone3, libc::SYS_clone] {
        let call = filtered(|| call(number | 0x4000_0000, 1));
        assert_eq!(call, Err(Errno::EPERM), "{number}");
    }
}

#[test]
fn what_a_daemon_needs_still_works() {
    filtered(|| {
        thread::spawn(|| ()).join().expect("a thread");
        let trace = Backtrace::force_capture().to_string();
        assert!(trace.contains("what_a_daemon_needs"), "a panic can say where: {trace}");
        std::net::UdpSocket::bind("[::1]:0").expect("a socket");
        let error = Command::new("true").status().expect_err("another program");
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    });
}
