//! What is asked of the daemon's loop, and how it answers.

use std::{collections::BTreeMap, sync::Arc};

use tokio::sync::oneshot;

use super::Daemon;
use crate::{
    command::Command, endpoints::Input, kernel::attach::Done, links::Links, ports::PortError,
    report::PortStatus,
};

impl Daemon {
    pub(super) async fn egress(&mut self, done: Done, links: &Links) {
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

    pub(super) async fn command(&mut self, command: Command, links: &Links) -> Vec<Input> {
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
            Command::SetPolicy(order, reply) => {
                let mut inputs = self.all_links(links).await;
                let set = self.ports.set_policy(&order);
                match set {
                    Ok((index, changed)) => {
                        inputs.extend(self.changed(|_| changed));
                        self.reply_status(index, reply, links).await;
                    }
                    Err(error) => {
                        let _gone = reply.send(Err(error));
                    }
                }
                inputs
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
        let reader = self.chains.as_ref();
        let chains =
            reader.map(|chains| self.ports.tcx_ports().map(|index| (index, chains.egress(index))));
        self.ports.status(&filters, &chains.into_iter().flatten().collect())
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
