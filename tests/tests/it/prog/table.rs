//! Tables as they are in the kernel, those too that the daemon only reads, or does not know.

use aya::maps::{HashMap, Map, MapData};
use netmon::kernel::load;
use netmon_common::abi::{BindingKey, MacHolder, MacKey, PortState, Reserved};
use zerocopy::transmute;

use super::{PORT, Programs};

impl Programs {
    /// The table of this name, as bytes.
    fn table<const KEY: usize, const VALUE: usize>(
        &self,
        name: &str,
    ) -> HashMap<MapData, [u8; KEY], [u8; VALUE]> {
        let has_name = |map: &MapData| map.info().is_ok_and(|i| i.name_as_str() == Some(name));
        let programs = [load::XDP, load::CLASSIFIER];
        let ids = programs.into_iter().flat_map(|program| {
            let program = self.loaded.object.program(program).expect("the program");
            program
                .info()
                .expect("its info")
                .map_ids()
                .expect("a kernel that lists maps")
                .expect("maps")
        });
        let mut maps = ids.map(|id| MapData::from_id(id).expect("the map"));
        let map = maps.find(has_name).unwrap_or_else(|| panic!("no map {name}"));
        Map::HashMap(map).try_into().expect("a hash map")
    }

    /// Who has a MAC on the port's link.
    pub(super) fn mac_holder(&self, mac: [u8; 6]) -> Option<MacHolder> {
        let key: [u8; 16] = transmute!(self.mac_key(mac));
        self.table::<16, 16>("MACS").get(&key, 0).ok().map(|holder| transmute!(holder))
    }

    /// … is this one from now on.
    pub(super) fn set_mac_holder(&mut self, key: MacKey, holder: MacHolder) {
        let (key, holder): ([u8; 16], [u8; 16]) = (transmute!(key), transmute!(holder));
        self.table("MACS").insert(key, holder, 0).expect("room");
    }

    pub(super) fn mac_key(&self, mac: [u8; 6]) -> MacKey {
        let (link, vlan) = (self.policy.link, self.policy.vlan);
        MacKey::in_vlan(link, vlan, netmon_common::Mac::new(mac))
    }

    /// How many MACs are somebody's.
    pub(super) fn macs(&self) -> usize {
        self.table::<16, 16>("MACS").keys().count()
    }

    /// Who has an address that is no guest's.
    pub(super) fn reserved(&self, key: &BindingKey) -> Option<Reserved> {
        let key: [u8; 24] = transmute!(*key);
        self.table::<24, 16>("RESERVED").get(&key, 0).ok().map(|reserved| transmute!(reserved))
    }

    /// What the kernel side remembers of a port is this from now on.
    pub(super) fn set_state(&mut self, port: u32, state: PortState) {
        let state: [u8; 72] = transmute!(state);
        self.table("PORT_STATE").insert(port.to_ne_bytes(), state, 0).expect("room");
    }

    /// What it remembers of the port.
    pub(super) fn state(&self) -> PortState {
        self.loaded.maps.state(PORT).expect("the port")
    }
}
