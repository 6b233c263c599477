//! Raw settings to [`Config`]: every rule in one place, every error collected.
//!
//! Rules across settings are checked too (credentials come together, `off` only on loopback). It reads no file and
//! resolves no name.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::raw::{ConfigError, Place, RawSettings};
use super::units::{parse_bytes, parse_duration};
use super::{Addresses, Authentication, Config, Credentials, Limits, LogSettings, StorageEngine, StorageSettings};
use crate::protocol::id::NodeName;
use crate::protocol::key::Partitioner;
use crate::protocol::register::replicas::MAX_REPLICAS;

/// Most addresses to join by: more are a sign of a mistake, and each is tried in turn.
const MAX_JOIN: usize = 32;

/// All settings, or all that is wrong with them. `errors` found while reading the file may be passed in.
pub fn parse(settings: &RawSettings, errors: Vec<ConfigError>) -> Result<Config, Vec<ConfigError>> {
    let mut reader = Reader { settings, errors };
    let config = reader.config();
    match config {
        Some(config) if reader.errors.is_empty() => Ok(config),
        _ => Err(reader.errors),
    }
}

struct Reader<'a> {
    settings: &'a RawSettings,
    errors: Vec<ConfigError>,
}

impl Reader<'_> {
    fn config(&mut self) -> Option<Config> {
        let data_dir = self.text("data-dir");
        if data_dir.is_none() {
            self.error("data-dir", "required: the folder that holds the store".to_owned());
        }
        let addresses = self.addresses();
        let credentials = self.credentials();
        let authentication = self.authentication(addresses.as_ref());
        let join = self.join();
        if !join.is_empty() && credentials.is_none() && self.settings.get("ca-file").is_none() {
            let made = "needs the cluster's ca-file, cert-file, key-file and gossip-key-file (kvnode make-credentials)";
            self.error("join", made.to_owned());
        }
        let config = Config {
            name: self.label("name", "n1")?,
            zone: self.label("zone", "a")?,
            data_dir: PathBuf::from(data_dir.unwrap_or_default()),
            addresses: addresses?,
            join,
            credentials,
            tokens_file: self.text("tokens-file").map(PathBuf::from),
            authentication,
            bootstrap: self.bootstrap(),
            replicas: self.replicas(),
            partitions: self.partitions(),
            worker_threads: usize::try_from(self.number("worker-threads", 0, 0, 256)).unwrap_or(0),
            storage: self.storage(),
            limits: self.limits(),
            drain_timeout: self.duration("drain-timeout", Duration::from_secs(10)),
            log: LogSettings {
                filter: self.text("log-filter").unwrap_or_else(|| "info".to_owned()),
                json: self.choice("log-format", &[("human", false), ("json", true)]),
            },
        };
        Some(config)
    }

    fn place(&self, name: &str) -> Place {
        self.settings.get(name).map_or(Place::Absent, |value| value.place.clone())
    }

    fn error(&mut self, name: &str, problem: String) {
        self.errors.push(ConfigError { place: self.place(name), setting: name.to_owned(), problem });
    }

    fn text(&mut self, name: &str) -> Option<String> {
        let text = self.settings.get(name)?.texts.first().cloned().unwrap_or_default();
        if text.is_empty() {
            self.error(name, "must not be empty".to_owned());
            return None;
        }
        Some(text)
    }

    /// A setting parsed by `parse`; its default if it is absent or wrong (the error is kept).
    fn value<T>(&mut self, name: &str, default: T, parse: impl FnOnce(&str) -> Result<T, String>) -> T {
        let Some(text) = self.text(name) else { return default };
        match parse(&text) {
            Ok(value) => value,
            Err(problem) => {
                self.error(name, problem);
                default
            }
        }
    }

    fn label<T: FromStr>(&mut self, name: &str, default: &str) -> Option<T>
    where
        T::Err: ToString,
    {
        let default = default.parse().ok();
        self.value(name, default, |text| text.parse().map(Some).map_err(|error: T::Err| error.to_string()))
    }

    fn number(&mut self, name: &str, default: u64, least: u64, most: u64) -> u64 {
        self.value(name, default, |text| match text.parse::<u64>() {
            Ok(number) if (least..=most).contains(&number) => Ok(number),
            _ => Err(format!("expected a whole number from {least} to {most}, found {text:?}")),
        })
    }

    fn bytes(&mut self, name: &str, default: u64, least: u64, most: u64) -> u64 {
        self.value(name, default, |text| match parse_bytes(text)? {
            size if (least..=most).contains(&size) => Ok(size),
            _ => Err(format!("expected {least} to {most} bytes, found {text}")),
        })
    }

    fn duration(&mut self, name: &str, default: Duration) -> Duration {
        self.value(name, default, parse_duration)
    }

    fn choice<T: Copy>(&mut self, name: &str, choices: &[(&str, T)]) -> T {
        self.value(name, choices[0].1, |text| match choices.iter().find(|(choice, _)| *choice == text) {
            Some((_, value)) => Ok(*value),
            None => {
                let names: Vec<_> = choices.iter().map(|(choice, _)| *choice).collect();
                Err(format!("expected {}, found {text:?}", names.join(" or ")))
            }
        })
    }

    fn address(&mut self, name: &str, default: SocketAddr) -> SocketAddr {
        self.value(name, default, |text| {
            text.parse()
                .map_err(|_| format!("expected an IP address and a port such as 127.0.0.1:8080, found {text:?}"))
        })
    }

    fn addresses(&mut self) -> Option<Addresses> {
        let loopback = |port| SocketAddr::from(([127, 0, 0, 1], port));
        let listen_api = self.address("listen-api", loopback(8080));
        let listen_peer = self.address("listen-peer", loopback(7946));
        let listen_gossip = self.address("listen-gossip", loopback(7947));
        let addresses = Addresses {
            listen_api,
            listen_peer,
            listen_gossip,
            advertise_api: self.address("advertise-api", listen_api),
            advertise_peer: self.address("advertise-peer", listen_peer),
            advertise_gossip: self.address("advertise-gossip", listen_gossip),
        };
        for (name, address) in [
            ("advertise-api", addresses.advertise_api),
            ("advertise-peer", addresses.advertise_peer),
            ("advertise-gossip", addresses.advertise_gossip),
        ] {
            if address.ip().is_unspecified() {
                self.error(name, format!("{address} cannot be reached by others; name an address of this host"));
            }
        }
        if listen_api == listen_peer {
            self.error("listen-peer", format!("{listen_peer} is already listen-api"));
        }
        Some(addresses)
    }

    fn credentials(&mut self) -> Option<Credentials> {
        let names = ["ca-file", "cert-file", "key-file", "gossip-key-file"];
        let files: Vec<Option<String>> = names.iter().map(|name| self.text(name)).collect();
        if files.iter().all(Option::is_none) {
            return None;
        }
        for (name, file) in names.iter().zip(&files) {
            if file.is_none() {
                self.error(name, "required together with ca-file, cert-file, key-file and gossip-key-file".to_owned());
            }
        }
        let mut files = files.into_iter().map(|file| file.map(PathBuf::from));
        Some(Credentials {
            ca_file: files.next()??,
            cert_file: files.next()??,
            key_file: files.next()??,
            gossip_key_file: files.next()??,
        })
    }

    fn authentication(&mut self, addresses: Option<&Addresses>) -> Authentication {
        let choices = [("tokens", Authentication::Tokens), ("off", Authentication::Off)];
        let mode = self.choice("authentication", &choices);
        let loopback = addresses.is_none_or(|addresses| addresses.listen_api.ip().is_loopback());
        if mode == Authentication::Off && !loopback {
            self.error("authentication", "off is accepted only while listen-api is a loopback address".to_owned());
        }
        mode
    }

    fn join(&mut self) -> Vec<String> {
        let texts = self.settings.get("join").map(|value| value.texts.clone()).unwrap_or_default();
        if texts.len() > MAX_JOIN {
            self.error("join", format!("at most {MAX_JOIN} addresses, found {}", texts.len()));
        }
        for text in &texts {
            let port = text.rsplit_once(':').filter(|(host, _)| !host.is_empty());
            if port.is_none_or(|(_, port)| port.parse::<u16>().is_err()) {
                self.error("join", format!("expected host:port such as 127.0.2.1:7946, found {text:?}"));
            }
        }
        texts
    }

    fn bootstrap(&mut self) -> Vec<NodeName> {
        let texts = self.settings.get("bootstrap").map(|value| value.texts.clone()).unwrap_or_default();
        let mut names = Vec::new();
        for text in texts {
            match text.parse::<NodeName>() {
                Ok(name) if names.contains(&name) => self.error("bootstrap", format!("{name} is named twice")),
                Ok(name) => names.push(name),
                Err(error) => self.error("bootstrap", error.to_string()),
            }
        }
        names
    }

    fn replicas(&mut self) -> Option<u8> {
        self.settings.get("replicas")?;
        u8::try_from(self.number("replicas", 3, 1, MAX_REPLICAS as u64)).ok()
    }

    fn partitions(&mut self) -> u32 {
        self.value("partitions", 256, |text| match text.parse::<u32>() {
            Ok(count) if count.is_power_of_two() && count <= Partitioner::MAX_COUNT => Ok(count),
            _ => Err(format!("expected a power of two from 1 to {}, found {text:?}", Partitioner::MAX_COUNT)),
        })
    }

    fn storage(&mut self) -> StorageSettings {
        let engines = [("sled", StorageEngine::Sled), ("memory", StorageEngine::Memory)];
        StorageSettings {
            engine: self.choice("storage-engine", &engines),
            cache_bytes: self.bytes("cache-size", 64 << 20, 1 << 20, 1 << 40),
            disk_floor_percent: u8::try_from(self.number("disk-floor", 5, 0, 50)).unwrap_or(5),
            hint_bytes: self.bytes("hint-size", 1 << 30, 0, 1 << 40),
            hint_age: self.duration("hint-age", Duration::from_secs(3 * 3600)),
        }
    }

    fn limits(&mut self) -> Limits {
        let small = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        Limits {
            max_value_bytes: small(self.bytes("max-value-size", 1 << 20, 1, 1 << 20)),
            max_connections: small(self.number("max-connections", 4096, 1, 65_536)),
            max_in_flight: small(self.number("max-in-flight", 1024, 1, 65_536)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(pairs: &[(&'static str, &str)]) -> RawSettings {
        let mut settings = RawSettings::default();
        for (name, text) in pairs {
            settings.set(name, text.split(',').map(str::to_owned).collect(), Place::Flag((*name).to_owned()));
        }
        settings
    }

    fn errors(pairs: &[(&'static str, &str)]) -> String {
        match parse(&settings(pairs), Vec::new()) {
            Ok(config) => format!("accepted: {config:?}"),
            Err(errors) => errors.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"),
        }
    }

    #[test]
    fn a_data_folder_is_enough() {
        let config = parse(&settings(&[("data-dir", "d")]), Vec::new()).expect("good");
        assert_eq!(config.addresses.listen_api, "127.0.0.1:8080".parse().expect("address"));
        assert_eq!((config.replicas, config.partitions, config.join.len()), (None, 256, 0));
        assert_eq!(config.credentials, None);
    }

    #[test]
    fn everything_wrong_is_reported_at_once() {
        let found = errors(&[
            ("name", "A1"),
            ("listen-api", "8080"),
            ("advertise-peer", "0.0.0.0:1"),
            ("join", "x,127.0.0.1:7946"),
            ("bootstrap", "a,a"),
            ("replicas", "8"),
            ("partitions", "100"),
            ("ca-file", "ca.pem"),
            ("cache-size", "64MB"),
            ("hint-age", "3"),
            ("log-format", "xml"),
        ]);
        insta::assert_snapshot!(found, @r#"
        missing: data-dir: required: the folder that holds the store
        --listen-api: expected an IP address and a port such as 127.0.0.1:8080, found "8080"
        --advertise-peer: 0.0.0.0:1 cannot be reached by others; name an address of this host
        missing: cert-file: required together with ca-file, cert-file, key-file and gossip-key-file
        missing: key-file: required together with ca-file, cert-file, key-file and gossip-key-file
        missing: gossip-key-file: required together with ca-file, cert-file, key-file and gossip-key-file
        --join: expected host:port such as 127.0.2.1:7946, found "x"
        --name: node name may hold only a-z, 0-9 and '-', and must start and end with a letter or digit; found 'A' at position 0
        --bootstrap: a is named twice
        --replicas: expected a whole number from 1 to 7, found "8"
        --partitions: expected a power of two from 1 to 4096, found "100"
        --cache-size: expected a size such as 64MiB (units B, KiB, MiB, GiB), found "64MB"
        --hint-age: expected a duration such as 500ms or 2s (units ms, s, m, h), found "3"
        --log-format: expected human or json, found "xml"
        "#);
    }

    #[test]
    fn authentication_is_off_on_loopback_only() {
        assert!(errors(&[("data-dir", "d"), ("authentication", "off")]).starts_with("accepted"));
        let found = errors(&[("data-dir", "d"), ("authentication", "off"), ("listen-api", "10.0.0.1:8080")]);
        assert_eq!(found, "--authentication: off is accepted only while listen-api is a loopback address");
    }
}
