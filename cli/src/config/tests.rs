use super::*;

fn from_yaml(text: &str) -> Result<Config, ConfigError> {
    yaml::read("weir.yaml", text)
}

fn broker(config: &Config) -> Vec<(&str, &str, &str)> {
    config.broker.iter().map(|(key, p)| (key.as_str(), p.value.as_str(), p.origin.as_str())).collect()
}

#[test]
fn kafkas_keys_may_be_nested_or_dotted() {
    let config =
        from_yaml("broker:\n  log: {retention.ms: 5, dirs: [/a]}\n  num.partitions: 3\nhttp:\n  listeners: x:1\n");
    assert_eq!(
        broker(&config.unwrap()),
        [
            ("log.retention.ms", "5", "weir.yaml:2:9"),
            ("log.dirs", "/a", "weir.yaml:2:26"),
            ("num.partitions", "3", "weir.yaml:3:3"),
            ("http.listeners", "x:1", "weir.yaml:5:3"),
        ]
    );
}

#[test]
fn each_section_is_for_its_part() {
    let text = "data: /d\nlog: {format: json}\nsearch: {retention: 3d}\nconnect: {listeners: x:1}\nconnectors:\n";
    let config = from_yaml(text).unwrap();
    let keys = |settings: &Properties| settings.keys().cloned().collect::<Vec<_>>();
    assert_eq!(keys(&config.process), ["data", "log.format"]);
    assert_eq!(keys(&config.search), ["retention"]);
    assert_eq!(keys(&config.connect), ["listeners"]);
    assert_eq!(config.process_settings().unwrap().log_format, LogFormat::Json);
}

#[test]
fn empty_sections_say_nothing() {
    assert_eq!(broker(&from_yaml("broker:\nhttp:\n").unwrap()), []);
    let error = from_yaml("broker: 5\n").unwrap_err().to_string();
    assert_eq!(error, "weir.yaml:1:9: `broker` is a single value, not keys with values");
}

#[test]
fn unknown_sections_and_keys_name_their_place_and_the_nearest_one() {
    let section = from_yaml("data: x\nbrokr: {}\n").unwrap_err();
    assert_eq!(section.to_string(), "weir.yaml:2:1: unknown section `brokr`; did you mean `broker`?");
    let search = from_yaml("search:\n  retentoin: 3d\n").unwrap().search_settings(Path::new(".")).err();
    let said = search.unwrap().to_string();
    assert_eq!(said, "weir.yaml:2:3: retentoin: unknown key; did you mean `retention`?");
    let process = from_yaml("log: {format: xml}\n").unwrap().process_settings().unwrap_err();
    assert_eq!(process.to_string(), "weir.yaml:1:7: log.format: `xml` is not one of text, json");
}

#[test]
fn variables_go_over_the_file_and_arguments_over_variables() {
    let mut config = from_yaml("broker: {log.retention.ms: 1, num.partitions: 1, broker.rack: a}\n").unwrap();
    let variables = [
        ("WEIR_BROKER_LOG_RETENTION_MS", "2"),
        ("WEIR_BROKER_NUM_PARTITIONS", "2"),
        ("WEIR_BROKER_RACK", "b"),
        ("WEIR_SEARCH_LISTENERS", "x:1"),
        ("WEIR_DATA", "/d"),
    ];
    let variables = variables.map(|(name, value)| (name.into(), value.into()));
    overrides::from_environment(&mut config, variables.into_iter()).unwrap();
    let arguments = ["num.partitions=3", "broker.log.flush=os", "search.retention=1d", "log.level=debug"];
    overrides::from_arguments(&mut config, &arguments.map(str::to_owned)).unwrap();
    assert_eq!(
        broker(&config),
        [
            ("log.retention.ms", "2", "WEIR_BROKER_LOG_RETENTION_MS"),
            ("num.partitions", "3", "--set"),
            ("broker.rack", "b", "WEIR_BROKER_RACK"),
            ("log.flush", "os", "--set"),
        ]
    );
    assert_eq!(config.search["listeners"].value, "x:1");
    assert_eq!(config.search["retention"].value, "1d");
    let process = config.process_settings().unwrap();
    assert_eq!((process.data_dir, process.log_level.as_deref()), ("/d".into(), Some("debug")));
}

#[test]
fn variables_that_are_not_settings_are_let_alone() {
    let names = [
        "WEIR_BOOTSTRAP_SERVER",
        "WEIR_CONNECT_URL",
        "WEIR_LOG",
        "WEIR_BROKER_SERVICE_HOST",
        "WEIR_BROKER_SERVICE_PORT_KAFKA",
        "WEIR_BROKER_PORT",
        "WEIR_BROKER_PORT_9092_TCP_ADDR",
        "PATH",
    ];
    let mut config = Config::default();
    overrides::from_environment(&mut config, names.iter().map(|name| (name.into(), "x".into()))).unwrap();
    assert_eq!(broker(&config), []);
    assert!(config.process.is_empty() && config.search.is_empty() && config.connect.is_empty());
}

#[test]
fn an_argument_without_a_value_is_refused() {
    let error = overrides::from_arguments(&mut Config::default(), &["log.flush".to_owned()]).unwrap_err();
    assert_eq!(error.to_string(), "--set: `log.flush` is not key=value");
}

#[test]
fn the_brokers_data_is_in_the_data_folder_unless_it_has_its_own() {
    let data = Path::new("/d");
    assert_eq!(Config::default().broker_properties(data)["log.dirs"].value, "/d/broker");
    let own = from_yaml("broker: {log.dir: /mine}\n").unwrap().broker_properties(data);
    assert!(!own.contains_key("log.dirs"));
}

#[test]
fn http_listeners_may_be_urls() {
    let mut config = from_yaml("http: {listeners: ['http://localhost:1/', 'localhost:2']}\n").unwrap();
    config.http_listeners_without_scheme();
    assert_eq!(config.broker["http.listeners"].value, "localhost:1,localhost:2");
}
