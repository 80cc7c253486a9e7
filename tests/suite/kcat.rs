//! kcat: librdkafka's own command-line client, as Debian ships it (an old librdkafka, which is the point).

use std::process::{Command, Stdio};

use anyhow::Result;
use weir_tests::clients::kcat;
use weir_tests::weir::Weir;

const COMPRESSIONS: [&str; 5] = ["none", "gzip", "snappy", "lz4", "zstd"];

#[tokio::test]
async fn records_come_back_as_they_were_sent_in_every_compression() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let weir = Weir::up(folder.path(), &[], "").await?;
    for compression in COMPRESSIONS {
        let topic = format!("squeezed-{compression}");
        let sent: Vec<String> = (0..500).map(|n| format!("key-{n}:a value that repeats itself, number {n}")).collect();
        produce(&weir, &topic, compression, &sent.join("\n"))?;
        let read =
            kcat(&["-b", &weir.bootstrap(), "-C", "-t", &topic, "-o", "beginning", "-e", "-q", "-f", "%k:%s\n"])?;
        assert_eq!(read.lines().collect::<Vec<_>>(), sent, "{compression}");
    }
    Ok(())
}

#[tokio::test]
async fn offsets_are_found_by_time_and_from_the_end() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let weir = Weir::up(folder.path(), &[], "").await?;
    produce(&weir, "times", "none", "a:1\nb:2\nc:3")?;
    let from = |offset: &str| {
        kcat(&["-b", &weir.bootstrap(), "-C", "-t", "times", "-p", "0", "-o", offset, "-e", "-q", "-f", "%s,"])
    };
    assert_eq!(from("-1")?, "3,");
    assert_eq!(from("1")?, "2,3,");
    assert_eq!(from("s@0")?, "1,2,3,");
    assert_eq!(kcat(&["-b", &weir.bootstrap(), "-Q", "-t", "times:0:-1"])?.trim(), "times [0] offset 3");
    Ok(())
}

fn produce(weir: &Weir, topic: &str, compression: &str, lines: &str) -> Result<()> {
    let mut command = Command::new("kcat");
    command.args(["-b", &weir.bootstrap(), "-P", "-t", topic, "-K", ":", "-z", compression, "-p", "0"]);
    let mut child = command.stdin(Stdio::piped()).spawn()?;
    std::io::Write::write_all(&mut child.stdin.take().expect("stdin is piped"), lines.as_bytes())?;
    anyhow::ensure!(child.wait()?.success(), "kcat could not produce {compression}");
    Ok(())
}
