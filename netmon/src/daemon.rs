//! The daemon: builds the parts in the order of the line, wires them, and runs the one loop that owns
//! them.
//!
//! Everything that changes comes into this loop: links, kernel events, egress attaches that are done,
//! commands, the clock. So there is no lock and no order to get wrong. What leaves it is the
//! [`view`] that readers see.

mod chains;
mod commands;
mod heard;

use std::{
    io,
    sync::{Arc, RwLock},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, anyhow};
use futures::future::OptionFuture;
use netmon_common::{
    abi::{Event, Sample},
    limits,
};
use tokio::{
    signal::unix::{SignalKind, signal},
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior, interval},
};
use tracing::{error, info, warn};

use self::chains::Chains;
use crate::{
    api::{self, Feeds},
    command::Command,
    config::{Options, Source},
    crash,
    drops::DropFeed,
    endpoints::{Due, EndpointTable, Input},
    kernel::{
        attach::{Done, EgressAttacher},
        chain::ChainReader,
        events::Records,
        instance::Instance,
        load,
        pins::{self, Pins},
        privilege::{self, Kept},
        tap::TapMaker,
    },
    links::Links,
    notify::{self, ServiceManager},
    ports::{PortError, Ports},
    probe::Prober,
    report::PortStatus,
    socket,
    time::Moment,
    topology::Topology,
    view::{self, Publisher},
};

/// How often the daemon asks whether the ring has lost something, and looks after the quiet: the bound on
/// how long a loss or an answer goes unnoticed.
const TICK: Duration = Duration::from_millis(250);

/// How often it reads all links and the whole binding table without being told to: ages come from there, and
/// it is the bound on how long any lost message goes unnoticed.
const RECONCILE: Duration = Duration::from_secs(5);

/// How soon it reads them again when something was heard that says so.
const LOOK_AGAIN: Duration = Duration::from_millis(250);

/// How long the readers get to end when the daemon does, and then what else still runs.
pub const DRAIN: Duration = Duration::from_secs(2);

/// Runs with what was asked for until SIGTERM or SIGINT; SIGHUP asks `source` again. Of its privileges it keeps
/// `kept`. The two processes were started before there was a second thread: `chains` tells who else is on the
/// egress hooks, `maker` makes TAPs.
///
/// # Errors
///
/// Something that it needs at start is not to be had, or a part that must not end has ended.
pub async fn run(
    options: Options,
    source: Source,
    kept: Kept,
    chains: Option<ChainReader>,
    maker: TapMaker,
) -> anyhow::Result<()> {
    let _instance = Instance::take(&options.bpffs)?;
    let (listener, _socket) = socket::listen(&options.socket)?;
    let mut pins = Pins::find(&options.bpffs)?;
    let loaded = load::load(Some(&mut pins))?;
    pins.complete()?;
    let pins = Arc::new(RwLock::new(pins));
    let links = Links::open()?;
    let classifier = loaded.classifier.id;
    // What it holds in the kernel is held by the pins, too.
    drop(loaded.object);
    let prober = Prober::open()?;
    let level = privilege::drop_all(kept)?;
    info!(capabilities = %level.capabilities.join(" "), filtered = level.is_filtered, "privileges kept");
    // Threads that are started from here on have no more than this one has.
    let (attacher, egress_done) = EgressAttacher::start(loaded.classifier, Arc::clone(&pins))?;
    let Options { taps, policies, .. } = options.clone();
    let ports = Ports::new(loaded.maps, pins, loaded.xdp, classifier, attacher, taps, policies);
    // The life's number: another one for each start of the daemon.
    let instance = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (publisher, view) = view::new(u64::try_from(instance.as_micros()).unwrap_or_default());
    let (commands, asked) = mpsc::channel(limits::QUEUE);
    info!(socket = %options.socket.display(), bpffs = %options.bpffs.display(), "netmon {}", env!("CARGO_PKG_VERSION"));
    let drops = DropFeed::new();
    let chain_reader = chains.as_ref().map(ChainReader::ended).transpose()?;
    let daemon = Daemon {
        options: options.clone(),
        source,
        prober,
        topology: Topology::default(),
        table: EndpointTable::new(options.timers),
        publisher,
        drops: drops.clone(),
        waiting: Vec::new(),
        lost: ports.maps().ring().map(|ring| ring.lost).unwrap_or_default(),
        ports,
        is_adopted: false,
        reconciled: None,
        links_read: None,
        looked: None,
        is_changed: false,
        chains: chains.map(Chains::new),
        manager: ServiceManager::default(),
    };

    let (stop, stopped) = oneshot::channel::<()>();
    let feeds = Feeds { view, drops };
    let mut server = tokio::spawn(api::serve(listener, feeds, commands, maker, async {
        let _sender_is_gone = stopped.await;
    }));
    let result = tokio::select! {
        result = daemon.serve(links, loaded.events, loaded.samples, egress_done, asked) => result,
        // Nobody asked it to end.
        ended = &mut server => Err(anyhow!("the API server ended: {ended:?}")),
        Some(()) = OptionFuture::from(chain_reader) => {
            Err(anyhow!("the process that reads egress chains ended"))
        }
        signal = terminated() => signal.context("signals"),
    };
    if result.is_ok() {
        notify::stopping();
    }
    drop(stop);
    if result.is_ok() && tokio::time::timeout(DRAIN, server).await.is_err() {
        warn!("API streams were cut off after {DRAIN:?}");
    }
    if options.detach_on_exit {
        pins::teardown(&options.bpffs)?;
    }
    info!("ended");
    result
}

struct Daemon {
    options: Options,
    source: Source,
    ports: Ports,
    prober: Prober,
    /// The interfaces, as far as was heard.
    topology: Topology,
    table: EndpointTable,
    publisher: Publisher,
    drops: DropFeed,
    /// Who waits for a port's egress side.
    waiting: Vec<(u32, oneshot::Sender<Result<PortStatus, PortError>>)>,
    /// Events that the ring has lost, as far as was seen.
    lost: u64,
    /// What a former daemon has left was taken over, and the rest removed.
    is_adopted: bool,
    reconciled: Option<Instant>,
    /// When all links were looked at; `None`: it is to be done.
    links_read: Option<Instant>,
    /// When the hooks were looked at.
    looked: Option<Instant>,
    /// Something was heard since by which links or what is reserved on them may be others.
    is_changed: bool,
    /// `None`: this kernel has no TCX.
    chains: Option<Chains>,
    manager: ServiceManager,
}

impl Daemon {
    async fn serve(
        mut self,
        mut links: Links,
        mut events: Records<Event>,
        mut samples: Records<Sample>,
        mut egress_done: mpsc::UnboundedReceiver<Done>,
        mut commands: mpsc::Receiver<Command>,
    ) -> anyhow::Result<()> {
        let mut hangup = signal(SignalKind::hangup())?;
        let mut clock = interval(TICK);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let inputs = tokio::select! {
                // In order of urgency. The clock comes first because it is due four times a second only, and no
                // flood of news or commands must keep it from reading anew what got lost. Then links: what a
                // new TAP's guest says in the meantime is for its program.
                biased;
                _ = clock.tick() => {
                    self.tick(&links).await;
                    Vec::new()
                }
                news = links.next() => self.heard(news?, &links).await,
                done = egress_done.recv() => {
                    self.egress(done.context("the egress thread ended")?, &links).await;
                    Vec::new()
                }
                batch = events.next() => {
                    let batch = batch.map(|batch| if crash::is_deaf() { Vec::new() } else { batch });
                    batch?.iter().filter_map(|event| self.told(event)).collect()
                }
                Some(command) = commands.recv() => self.command(command, &links).await,
                Some(()) = hangup.recv() => notify::reload(|| self.reload()),
                batch = samples.next() => {
                    for sample in batch? {
                        self.drops.tell(&sample, self.ports.name(sample.interface));
                    }
                    Vec::new()
                }
            };
            self.fold(inputs);
        }
    }

    fn fold(&mut self, inputs: Vec<Input>) {
        let now = Moment::now();
        let changes = inputs.into_iter().flat_map(|input| self.table.apply(input, now)).collect();
        for question in self.table.questions() {
            self.ask(&question);
        }
        self.publisher.publish(&self.table, changes);
    }

    /// Time has passed: reads anew what it is time for, and looks after the quiet.
    async fn tick(&mut self, links: &Links) {
        let is_due = |at: Instant, after| at.elapsed() >= after;
        if self.is_changed && self.links_read.is_some_and(|at| is_due(at, LOOK_AGAIN)) {
            let inputs = self.all_links(links).await;
            self.fold(inputs);
        }
        if self.looked.is_none_or(|at| is_due(at, RECONCILE)) || self.links_read.is_none() {
            self.looked = Some(Instant::now());
            let inputs = self.all_links(links).await;
            // Before the bindings are read: they are judged by the ports that there are.
            self.fold(inputs);
            self.ports.repair();
            self.ports.restore_pins();
        }
        if !self.is_adopted && self.links_read.is_some() {
            self.is_adopted = self.ports.finish_adoption();
        }
        let inputs = self.reconcile();
        self.fold(inputs);
        let Due { changes, questions, expired } =
            self.table.tick(Moment::now(), |key| self.ports.maps().binding(key));
        for question in &questions {
            self.ask(question);
        }
        self.ports.remove_bindings(&expired);
        self.publisher.publish(&self.table, changes);
    }

    /// Tells the ports of links.
    fn changed(&mut self, tell: impl FnOnce(&mut Ports) -> Vec<Input>) -> Vec<Input> {
        let inputs = tell(&mut self.ports);
        if !inputs.is_empty() {
            // Bindings of a former guest are to be removed: at the next tick, for all of them.
            self.reconciled = None;
        }
        inputs
    }

    /// Takes the configuration over as it is by now: all of it, or nothing.
    fn reload(&mut self) -> Vec<Input> {
        match self.source.reload(&self.options) {
            Ok(options) => {
                info!("the configuration is reloaded");
                self.options = options.clone();
                self.is_changed = true;
                self.changed(|ports| ports.configure(options.taps, options.policies))
            }
            Err(refused) => {
                for line in refused.to_string().lines() {
                    error!("{line}");
                }
                error!("the configuration is not reloaded: all is as before");
                Vec::new()
            }
        }
    }

    /// Reads the binding table, if it is time or events were lost.
    fn reconcile(&mut self) -> Vec<Input> {
        let lost = match self.ports.maps().ring() {
            Ok(ring) => ring.lost,
            Err(error) => {
                warn!("{error}");
                self.lost
            }
        };
        let due = self.reconciled.is_none_or(|at| at.elapsed() >= RECONCILE);
        if lost == self.lost && !due {
            return Vec::new();
        }
        if lost != self.lost {
            warn!(
                "the ring buffer was full for {} events: reading the binding table",
                lost - self.lost
            );
            self.lost = lost;
        }
        self.reconciled = Some(Instant::now());
        if self.links_read.is_some() {
            self.ports.remove_groups();
        }
        match self.ports.maps().bindings() {
            Ok(bindings) => {
                if self.links_read.is_some_and(|at| at.elapsed() <= RECONCILE * 2) {
                    self.manager.reconciled(self.ports.protected());
                }
                let now = Moment::now();
                let is_current = |(_, binding): &(_, _)| {
                    self.table.is_current(binding) && !EndpointTable::is_abandoned(binding, now)
                };
                let (current, former): (Vec<_>, Vec<_>) =
                    bindings.into_iter().partition(is_current);
                // Until the links were read, nobody knows whose guest is a former one.
                if self.links_read.is_some() {
                    self.ports.remove_bindings(&former);
                }
                vec![Input::Table(current)]
            }
            Err(error) => {
                warn!("{error}");
                Vec::new()
            }
        }
    }
}

async fn terminated() -> io::Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => {}
        _ = interrupt.recv() => {}
    }
    Ok(())
}
