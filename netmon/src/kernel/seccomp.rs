//! What the kernel refuses to the daemon once it has started, whoever has taken it over by then.
//!
//! All that is not named here is allowed: the C library and tokio change their system calls with their versions,
//! and these are the ones that a program needs to become another, to reach into others, or to change the machine.

use std::{collections::BTreeMap, env::consts::ARCH, io};

use aya_obj::generated::bpf_cmd;
use seccompiler::{
    BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule, TargetArch,
};

/// The commands of bpf(2) that it goes on with, and what for. No other: it can neither load a program nor make a
/// map, nor take one of another's by its number, nor detach by command.
pub const BPF_COMMANDS: [(bpf_cmd, &str); 9] = [
    (bpf_cmd::BPF_MAP_LOOKUP_ELEM, "reads tables"),
    (bpf_cmd::BPF_MAP_UPDATE_ELEM, "writes policies"),
    (bpf_cmd::BPF_MAP_DELETE_ELEM, "removes what binds nobody"),
    (bpf_cmd::BPF_MAP_GET_NEXT_KEY, "goes through tables"),
    (bpf_cmd::BPF_OBJ_PIN, "pins the links of a new TAP"),
    (bpf_cmd::BPF_OBJ_GET, "opens its own pins"),
    (bpf_cmd::BPF_OBJ_GET_INFO_BY_FD, "reads back what protects a TAP"),
    (bpf_cmd::BPF_LINK_CREATE, "protects a new TAP"),
    (bpf_cmd::BPF_LINK_UPDATE, "takes over the link of a former build"),
];

/// System calls that it never needs again, by what they would be good for.
pub const DENIED: &[(&str, &[libc::c_long])] = &[
    ("another program", &[libc::SYS_execve, libc::SYS_execveat]),
    (
        "another process",
        &[
            libc::SYS_ptrace,
            libc::SYS_process_vm_readv,
            libc::SYS_process_vm_writev,
            libc::SYS_process_madvise,
            libc::SYS_pidfd_getfd,
            libc::SYS_kcmp,
            libc::SYS_perf_event_open,
        ],
    ),
    ("another namespace", &[libc::SYS_unshare, libc::SYS_setns]),
    (
        "another file system",
        &[
            libc::SYS_mount,
            libc::SYS_umount2,
            libc::SYS_pivot_root,
            libc::SYS_chroot,
            libc::SYS_move_mount,
            libc::SYS_open_tree,
            libc::SYS_fsopen,
            libc::SYS_fsmount,
            libc::SYS_fsconfig,
            libc::SYS_fspick,
            libc::SYS_mount_setattr,
            libc::SYS_open_by_handle_at,
            libc::SYS_quotactl,
            libc::SYS_quotactl_fd,
            libc::SYS_swapon,
            libc::SYS_swapoff,
            libc::SYS_acct,
        ],
    ),
    (
        "another kernel",
        &[
            libc::SYS_init_module,
            libc::SYS_finit_module,
            libc::SYS_delete_module,
            libc::SYS_kexec_load,
            libc::SYS_kexec_file_load,
            libc::SYS_reboot,
            libc::SYS_syslog,
            libc::SYS_personality,
        ],
    ),
    (
        "another time or name",
        &[
            libc::SYS_settimeofday,
            libc::SYS_clock_settime,
            libc::SYS_adjtimex,
            libc::SYS_clock_adjtime,
            libc::SYS_sethostname,
            libc::SYS_setdomainname,
        ],
    ),
    (
        "what kernels were broken by",
        &[
            libc::SYS_add_key,
            libc::SYS_request_key,
            libc::SYS_keyctl,
            libc::SYS_userfaultfd,
            libc::SYS_io_uring_setup,
            libc::SYS_io_uring_enter,
            libc::SYS_io_uring_register,
        ],
    ),
];

/// Bit of a system call's number in the x32 ABI of an x86-64 kernel, which has another table of numbers:
/// without this, each call would have a second name.
#[cfg(target_arch = "x86_64")]
const X32: libc::c_long = 0x4000_0000;

/// The filters, to be put on in this order. A call that is refused gets EPERM; clone3(2), whose flags no filter
/// can see, gets ENOSYS, upon which the C library takes clone(2).
///
/// # Errors
///
/// netmon has no filters for this processor.
pub fn filters() -> io::Result<[BpfProgram; 2]> {
    let refuse = |rules, errno: i32| {
        compile(rules, SeccompAction::Allow, SeccompAction::Errno(errno.cast_unsigned()))
    };
    let unknown = refuse([(libc::SYS_clone3, vec![])].into(), libc::ENOSYS)?;
    let mut rules = BTreeMap::new();
    for call in DENIED.iter().flat_map(|(_, calls)| *calls) {
        rules.insert(*call, vec![]);
    }
    let is_other = BPF_COMMANDS.iter().map(|(command, _)| {
        let command = u64::from(*command as u32);
        condition(SeccompCmpArgLen::Dword, SeccompCmpOp::Ne, command)
    });
    rules.insert(libc::SYS_bpf, vec![rule(is_other.collect::<io::Result<_>>()?)?]);
    // Whoever makes a user namespace is all-powerful inside.
    let user = u64::from(libc::CLONE_NEWUSER.cast_unsigned());
    let user = condition(SeccompCmpArgLen::Qword, SeccompCmpOp::MaskedEq(user), user)?;
    rules.insert(libc::SYS_clone, vec![rule(vec![user])?]);
    #[cfg(target_arch = "x86_64")]
    for call in rules.clone().into_keys().chain([libc::SYS_clone3]) {
        rules.insert(call | X32, vec![]);
    }
    Ok([unknown, refuse(rules, libc::EPERM)?])
}

/// The filter of a process that may ask [`BPF_PROG_QUERY`](bpf_cmd::BPF_PROG_QUERY) and answer; anything else
/// kills it.
///
/// # Errors
///
/// netmon has no filters for this processor.
pub(super) fn only_questions() -> io::Result<BpfProgram> {
    let query = u64::from(bpf_cmd::BPF_PROG_QUERY as u32);
    let query = condition(SeccompCmpArgLen::Dword, SeccompCmpOp::Eq, query)?;
    let rules = [
        (libc::SYS_read, vec![]),
        (libc::SYS_write, vec![]),
        (libc::SYS_bpf, vec![rule(vec![query])?]),
        (libc::SYS_restart_syscall, vec![]),
        (libc::SYS_exit_group, vec![]),
    ];
    compile(rules.into(), SeccompAction::KillProcess, SeccompAction::Allow)
}

fn compile(
    rules: BTreeMap<libc::c_long, Vec<SeccompRule>>,
    others: SeccompAction,
    matching: SeccompAction,
) -> io::Result<BpfProgram> {
    let processor = TargetArch::try_from(ARCH).map_err(io::Error::other)?;
    SeccompFilter::new(rules, others, matching, processor)
        .and_then(BpfProgram::try_from)
        .map_err(io::Error::other)
}

fn rule(conditions: Vec<SeccompCondition>) -> io::Result<SeccompRule> {
    SeccompRule::new(conditions).map_err(io::Error::other)
}

/// On the first argument.
fn condition(
    length: SeccompCmpArgLen,
    operator: SeccompCmpOp,
    value: u64,
) -> io::Result<SeccompCondition> {
    SeccompCondition::new(0, length, operator, value).map_err(io::Error::other)
}
