//! The daemon: builds the parts in the order of the line, wires them, and runs the one loop that owns
//! them.
//!
//! Everything that changes comes into this loop: links, kernel events, egress attaches that are done,
//! commands, the clock. So there is no lock and no order to get wrong. What leaves it is the
//! [`view`] that readers see.

use std::{
    collections::BTreeMap,
    fs,
    io::{self, ErrorKind},
    os::unix::{fs::PermissionsExt as _, net::UnixStream as StdStream},
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use anyhow::{Context as _, anyhow};
use glob::Pattern;
use netmon_common::{
    abi::{Event, Sample},
    limits,
};
use tokio::{
    net::UnixListener,
    signal::unix::{SignalKind, signal},
    sync::{mpsc, oneshot},
    time::{Instant, MissedTickBehavior, interval},
};
use tracing::{info, warn};

use crate::{
    api::{self, Feeds},
    command::{Command, PortStatus},
    drops::DropFeed,
    endpoints::{EndpointTable, Input},
    kernel::{
        attach::{Done, EgressAttacher},
        events::Records,
        instance::Instance,
        load::{self, CLASSIFIER},
        tap::TapMaker,
    },
    links::{AllLinks, LinkNews, Links},
    ports::{PortError, Ports},
    time::Moment,
    view::{self, Publisher},
};

/// How often the daemon asks whether the ring has lost something: the bound on how long a loss goes
/// unnoticed.
const LOSS_CHECK: Duration = Duration::from_millis(250);

/// How often it reads all links and the whole binding table without being told to: ages come from there, and
/// it is the bound on how long any lost message goes unnoticed.
const RECONCILE: Duration = Duration::from_secs(5);

/// How long the readers get to end when the daemon does.
const DRAIN: Duration = Duration::from_secs(2);

/// What `netmon run` was asked for.
#[derive(Clone, Debug)]
pub struct Options {
    /// Globs of TAP names.
    pub taps: Vec<Pattern>,
    /// The Unix socket of the API.
    pub socket: PathBuf,
    /// This instance's directory in bpffs.
    pub bpffs: PathBuf,
}

/// Runs until SIGTERM or SIGINT; `maker` was started before there was a second thread.
///
/// # Errors
///
/// Something that it needs at start is not to be had, or a part that must not end has ended.
pub async fn run(options: Options, maker: TapMaker) -> anyhow::Result<()> {
    let _instance = Instance::take(&options.bpffs)?;
    let listener = listen(&options.socket)?;
    let _socket = RemoveOnDrop(options.socket.clone());
    let loaded = load::load()?;
    let links = Links::open()?;
    let (attacher, egress_done) =
        EgressAttacher::start(loaded.classifier.fd, loaded.object, CLASSIFIER)?;
    let ports = Ports::new(loaded.maps, loaded.xdp, loaded.classifier.id, attacher, options.taps);
    // The life's number: another one for each start of the daemon.
    let instance = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let (publisher, view) = view::new(u64::try_from(instance.as_micros()).unwrap_or_default());
    let (commands, asked) = mpsc::channel(limits::QUEUE);
    let drops = DropFeed::new();
    let daemon = Daemon {
        ports,
        table: EndpointTable::default(),
        publisher,
        drops: drops.clone(),
        waiting: Vec::new(),
        lost: 0,
        reconciled: None,
        links_read: None,
    };

    let (stop, stopped) = oneshot::channel::<()>();
    let feeds = Feeds { view, drops };
    let mut server = tokio::spawn(api::serve(listener, feeds, commands, maker, async {
        let _sender_is_gone = stopped.await;
    }));
    info!(socket = %options.socket.display(), bpffs = %options.bpffs.display(), "netmon {}", env!("CARGO_PKG_VERSION"));
    let result = tokio::select! {
        result = daemon.serve(links, loaded.events, loaded.samples, egress_done, asked) => result,
        // Nobody asked it to end.
        ended = &mut server => Err(anyhow!("the API server ended: {ended:?}")),
        signal = terminated() => signal.context("signals"),
    };
    drop(stop);
    if result.is_ok() && tokio::time::timeout(DRAIN, server).await.is_err() {
        warn!("API streams were cut off after {DRAIN:?}");
    }
    info!("ended");
    result
}

struct Daemon {
    ports: Ports,
    table: EndpointTable,
    publisher: Publisher,
    drops: DropFeed,
    /// Who waits for a port's egress side.
    waiting: Vec<(u32, oneshot::Sender<Result<PortStatus, PortError>>)>,
    /// Events that the ring has lost, as far as was seen.
    lost: u64,
    reconciled: Option<Instant>,
    /// When all links were looked at; `None`: it is to be done.
    links_read: Option<Instant>,
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
        let mut clock = interval(LOSS_CHECK);
        clock.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            let inputs = tokio::select! {
                // Links first: what a new TAP's guest says in the meantime is for its program.
                biased;
                news = links.next() => self.heard(news?, &links).await,
                done = egress_done.recv() => {
                    self.egress(done.context("the egress thread ended")?, &links).await;
                    Vec::new()
                }
                batch = events.next() => {
                    // An event says where to look; the table says what is there.
                    let keys = batch?.into_iter().map(|event| event.key);
                    keys.filter_map(|key| Some(Input::Binding(key, self.ports.maps().binding(&key)?))).collect()
                }
                Some(command) = commands.recv() => self.command(command, &links).await,
                batch = samples.next() => {
                    for sample in batch? {
                        self.drops.tell(&sample, self.ports.name(sample.interface));
                    }
                    Vec::new()
                }
                _ = clock.tick() => {
                    let is_due = self.links_read.is_none_or(|at| at.elapsed() >= RECONCILE);
                    let mut inputs = if is_due { self.all_links(&links).await } else { Vec::new() };
                    inputs.extend(self.tick());
                    inputs
                }
            };
            self.fold(inputs);
        }
    }

    fn fold(&mut self, inputs: Vec<Input>) {
        let now = Moment::now();
        let changes = inputs.into_iter().flat_map(|input| self.table.apply(input, now)).collect();
        self.publisher.publish(&self.table, changes);
    }

    async fn heard(&mut self, news: LinkNews, links: &Links) -> Vec<Input> {
        match news {
            LinkNews::Tap(tap) => return self.changed(|ports| ports.tap(tap)),
            LinkNews::Gone(index) => return self.changed(|ports| ports.gone(index)),
            LinkNews::Lost => return self.all_links(links).await,
            LinkNews::Bridge(bridge) => self.ports.bridge(bridge),
            LinkNews::Address(address) => self.ports.reserve(address),
            LinkNews::AddressGone(address) => self.ports.unreserve(address),
        }
        Vec::new()
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

    /// Looks at all links: at start, after lost messages, when a person names a TAP whose message may still
    /// be under way, and every few seconds.
    async fn all_links(&mut self, links: &Links) -> Vec<Input> {
        let reserved = self.ports.reserved();
        match links.all().await {
            Ok(AllLinks { taps, bridges, addresses }) => {
                self.links_read = Some(Instant::now());
                let inputs = self.changed(|ports| ports.all(taps, bridges));
                self.ports.reserve_all(reserved, &addresses);
                inputs
            }
            Err(error) => {
                warn!("{error}");
                self.links_read = None;
                Vec::new()
            }
        }
    }

    fn tick(&mut self) -> Vec<Input> {
        let lost = match self.ports.maps().ring() {
            Ok(ring) => ring.lost,
            Err(error) => {
                warn!("{error}");
                self.lost
            }
        };
        let due = self.reconciled.is_none_or(|at| at.elapsed() >= RECONCILE);
        if lost == self.lost && !due {
            return vec![Input::Tick];
        }
        if lost != self.lost {
            warn!(
                "the ring buffer was full for {} events: reading the binding table",
                lost - self.lost
            );
            self.lost = lost;
        }
        self.reconciled = Some(Instant::now());
        match self.ports.maps().bindings() {
            Ok(bindings) => {
                let is_current = |(_, binding): &(_, _)| self.table.is_current(binding);
                let (current, former): (Vec<_>, Vec<_>) =
                    bindings.into_iter().partition(is_current);
                self.ports.remove_bindings(&former);
                vec![Input::Table(current)]
            }
            Err(error) => {
                warn!("{error}");
                vec![Input::Tick]
            }
        }
    }

    async fn egress(&mut self, done: Done, links: &Links) {
        let index = done.0.index;
        self.ports.egress_done(done);
        if self.ports.is_pending(index) {
            return;
        }
        for (_, reply) in
            self.waiting.extract_if(.., |(port, _)| *port == index).collect::<Vec<_>>()
        {
            self.reply_status(index, reply, links).await;
        }
    }

    async fn command(&mut self, command: Command, links: &Links) -> Vec<Input> {
        // Who asked may be gone: then nobody is told.
        match command {
            Command::ListPorts(reply) => {
                let _gone = reply.send(self.status(links).await);
                Vec::new()
            }
            Command::Counters(name, reply) => {
                let _gone = reply.send(self.ports.counters(name.as_ref()));
                Vec::new()
            }
            Command::Attach(name, reply) => {
                let mut inputs = self.all_links(links).await;
                match self.ports.attach(&name) {
                    Ok((index, attached)) => {
                        inputs.extend(attached);
                        if self.ports.is_pending(index) {
                            self.waiting.push((index, reply));
                        } else {
                            self.reply_status(index, reply, links).await;
                        }
                    }
                    Err(error) => {
                        let _gone = reply.send(Err(error));
                    }
                }
                inputs
            }
            Command::SetMac(name, mac, reply) => {
                let _gone = reply.send(self.ports.set_mac(&name, mac));
                Vec::new()
            }
            Command::Detach(name, reply) => {
                let mut inputs = self.all_links(links).await;
                match self.ports.detach(&name) {
                    Ok(detached) => {
                        inputs.extend(detached);
                        let _gone = reply.send(Ok(()));
                    }
                    Err(error) => {
                        let _gone = reply.send(Err(error));
                    }
                }
                inputs
            }
        }
    }

    async fn status(&self, links: &Links) -> Vec<PortStatus> {
        let mut filters = BTreeMap::new();
        for index in self.ports.clsact_ports() {
            // Gone meanwhile: then there are none.
            filters.insert(index, links.egress_filters(index).await.unwrap_or_default());
        }
        self.ports.status(&filters)
    }

    async fn reply_status(
        &self,
        index: u32,
        reply: oneshot::Sender<Result<PortStatus, PortError>>,
        links: &Links,
    ) {
        let status = self.status(links).await.into_iter().find(|port| port.index == index);
        let _gone = reply.send(
            status.ok_or_else(|| PortError::NotFound(Arc::from(format!("interface {index}")))),
        );
    }
}

/// Binds the socket. One that a killed daemon has left is replaced; one that answers is not.
fn listen(path: &Path) -> anyhow::Result<UnixListener> {
    let shown = path.display();
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)
            .with_context(|| format!("{}: cannot make the socket's directory", parent.display()))?;
    }
    match StdStream::connect(path) {
        Ok(_) => {
            return Err(anyhow!(
                "{shown}: another daemon answers here (stop it, or choose another --socket)"
            ));
        }
        Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
            fs::remove_file(path)
                .with_context(|| format!("{shown}: cannot remove the socket of a dead daemon"))?;
        }
        // What else is there is no socket, or nothing.
        Err(_) => {}
    }
    let listener = UnixListener::bind(path).with_context(|| {
        format!("{shown}: cannot listen (is it a file of something else? choose another --socket)")
    })?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o660))
        .with_context(|| format!("{shown}: chmod 0660"))?;
    Ok(listener)
}

/// The socket goes with the daemon.
struct RemoveOnDrop(PathBuf);

impl Drop for RemoveOnDrop {
    fn drop(&mut self) {
        let _may_be_gone = fs::remove_file(&self.0);
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
