//! The copy that the host makes for an agent that edits files: it is there while the agent is asked, and gone afterwards.

use std::io::{BufRead as _, BufReader, Write as _};
use std::net::TcpListener;
use std::path::Path;
use std::sync::mpsc::channel;

use razar_tests::scene::Scene;
use razar_tests::shop::{self, BROKEN};
use serde_json::json;

#[test]
fn an_agent_that_edits_files_is_told_where_and_nothing_of_it_stays() {
    let scene = Scene::new();
    let listener = TcpListener::bind((scene.address(), 0)).unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    let copy = scene.state().join("workspaces/shop-1-1");
    let (seen, (tell, told)) = (copy.join("shop.py"), channel());
    // It says that it cannot, and notes what it was asked and what lay in the copy at that moment.
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let mut line = String::new();
            if BufReader::new(&stream).read_line(&mut line).unwrap_or(0) > 0 {
                let _ = tell.send((line, std::fs::read_to_string(&seen).unwrap_or_default()));
            }
            let _ =
                stream.write_all(b"HTTP/1.1 500 Broken\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
        }
    });
    scene.write(
        "grants.toml",
        &format!(
            "[agent-opencode]\nhttp = [{{ url = \"{url}/*\", methods = [\"GET\", \"POST\"] }}]\n\
             config = {{ endpoint = \"{url}\", model = \"opencode/m\" }}\n"
        ),
    );
    shop::files(&scene, BROKEN);
    let repair = json!({ "agents": ["agent-opencode"], "attempts": 1, "evaluators": [] });
    scene.stack(&["all"], &[shop::component(&scene, &json!({ "repair": repair }))]);
    let agents = scene.agents(&["agent-opencode"]);
    let host = scene.run_with(&["--grants", "grants.toml", "--plugins", &agents]);
    scene.until_logged("quarantine", "shop", "quarantined", 1);
    let (asked, there) = told.try_recv().expect("it was asked");
    let named = Path::new("workspaces").join("shop-1-1").display().to_string();
    assert!(asked.contains("directory=") && asked.replace("%2F", "/").contains(&named), "{asked}");
    assert_eq!(there, BROKEN);
    assert!(!copy.exists());
    assert_eq!(host.interrupt().code, Some(0));
    assert!(!scene.state().join("workspaces").exists());
}
