use super::layers::{BrokerLayers, Overrides, Source, broker_values, topic_values};
use super::table::{Scope, find, keys};
use super::*;

fn properties(pairs: &[(&str, &str)]) -> Properties {
    pairs
        .iter()
        .enumerate()
        .map(|(i, (k, v))| ((*k).to_owned(), Property::new(*v, format!("test:{}", i + 1))))
        .collect()
}

fn settings(pairs: &[(&str, &str)]) -> Result<Settings, ConfigError> {
    let file = properties(pairs);
    check_properties(&file)?;
    let none = Overrides::new();
    Settings::resolve(BrokerLayers { file: &file, dynamic_broker: &none, dynamic_default: &none })
}

#[test]
fn every_default_passes_its_own_check_and_every_key_stands_in_the_table_once() {
    for scope in [Scope::Broker, Scope::Topic] {
        assert!(keys(scope).is_sorted_by(|one, next| one.name < next.name));
        for key in keys(scope) {
            if let Some(default) = key.default {
                value::check(key, default).unwrap_or_else(|reason| panic!("{}: {reason}", key.name));
            }
            for synonym in key.synonyms {
                assert!(find(Scope::Broker, synonym.name).is_some(), "{} → {}", key.name, synonym.name);
            }
        }
    }
}

#[test]
fn no_properties_at_all_listen_on_the_loopback() {
    let settings = settings(&[]).unwrap();
    assert_eq!(settings.listeners[0].to_string(), "PLAINTEXT://localhost:9092");
    assert_eq!(settings.advertised_listeners, settings.listeners);
    assert_eq!(settings.node_id, 1);
    assert_eq!(settings.request_bytes_in_flight_max, None);
}

#[test]
fn a_misspelt_key_names_its_place_and_the_nearest_key() {
    let error = settings(&[("log.retention.hour", "3")]).unwrap_err().to_string();
    assert_eq!(error, "test:1: unknown key `log.retention.hour`; did you mean `log.retention.hours`?");
}

#[test]
fn a_malformed_value_names_its_place_and_what_is_wrong() {
    let error = settings(&[("node.id", "1"), ("num.partitions", "many")]).unwrap_err().to_string();
    assert_eq!(error, "test:2: `num.partitions`: `many` is not a whole number");
    let error = settings(&[("num.partitions", "0")]).unwrap_err().to_string();
    assert_eq!(error, "test:1: `num.partitions`: 0 is less than 1");
    let error = settings(&[("listeners", "localhost:9092")]).unwrap_err().to_string();
    assert!(error.starts_with("test:1: `listeners`: `localhost:9092` is not NAME://host:port"), "{error}");
}

#[test]
fn a_listener_may_have_any_name_whose_protocol_is_there() {
    let named = |map: &str| {
        let listeners = ("listeners", "PLAINTEXT://:9092,external://:9094");
        settings(&[listeners, ("listener.security.protocol.map", map)]).map_err(|error| error.to_string())
    };
    let settings_of_two = named("PLAINTEXT:PLAINTEXT, External:plaintext").unwrap();
    assert_eq!(settings_of_two.listeners[1].to_string(), "EXTERNAL://:9094");
    let (listeners, map) = ("test:1: `listeners`: ", "test:2: `listener.security.protocol.map`: ");
    let refused = [
        (
            "PLAINTEXT:PLAINTEXT",
            listeners,
            "`listener.security.protocol.map` has no EXTERNAL: add EXTERNAL:PLAINTEXT to it",
        ),
        (
            "PLAINTEXT:PLAINTEXT,EXTERNAL:SSL",
            listeners,
            "listener EXTERNAL speaks SSL; PLAINTEXT is the only security protocol so far",
        ),
        ("PLAINTEXT:PLAINTEXT,EXTERNAL", map, "`EXTERNAL` is not NAME:PROTOCOL, for example EXTERNAL:PLAINTEXT"),
        ("A:PLAINTEXT,a:SSL", map, "listener name a is used twice"),
    ];
    for (text, place, reason) in refused {
        assert_eq!(named(text).unwrap_err(), format!("{place}{reason}"));
    }
    let error = settings(&[("listeners", "SSL://:9093")]).unwrap_err().to_string();
    assert!(error.ends_with("listener SSL speaks SSL; PLAINTEXT is the only security protocol so far"), "{error}");
}

#[test]
fn coarser_units_and_older_names_give_a_key_its_value() {
    let file = properties(&[("log.retention.hours", "2"), ("broker.id", "7")]);
    let none = Overrides::new();
    let layers = BrokerLayers { file: &file, dynamic_broker: &none, dynamic_default: &none };
    let retention = topic_values(find(Scope::Topic, "retention.ms").unwrap(), &none, layers);
    assert_eq!((retention[0].value.as_str(), retention[0].source), ("7200000", Source::StaticBroker));
    assert_eq!(Settings::resolve(layers).unwrap().node_id, 7);
}

#[test]
fn the_topics_own_value_wins_over_dynamic_over_file_over_default() {
    let file = properties(&[("log.retention.ms", "3")]);
    let overrides = |name: &str, value: &str| Overrides::from([(name.to_owned(), value.to_owned())]);
    let (broker, cluster) = (overrides("log.retention.ms", "1"), overrides("log.retention.ms", "2"));
    let layers = BrokerLayers { file: &file, dynamic_broker: &broker, dynamic_default: &cluster };
    let key = find(Scope::Topic, "retention.ms").unwrap();
    let values: Vec<_> =
        topic_values(key, &overrides("retention.ms", "0"), layers).into_iter().map(|f| f.value).collect();
    assert_eq!(values, ["0", "1", "2", "3", "604800000"]);
    let key = find(Scope::Broker, "log.retention.ms").unwrap();
    assert_eq!(broker_values(key, layers)[0].source, Source::DynamicBroker);
}
