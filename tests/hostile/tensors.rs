//! Every tensor of every family, missing, misshapen or of another type: refused by name before memory is taken.

use moebius_tests::{bytes, fixture, json};

use super::{checkpoint, folder, refuse};

/// A type of the same size that no weight has.
fn other(dtype: &str) -> &'static str {
    match dtype {
        "BF16" | "F16" => "I16",
        "F32" => "I32",
        _ => "I8",
    }
}

#[test]
fn a_family_asks_for_each_of_its_tensors() {
    let mut count = 0;
    for name in super::models() {
        let mut source = folder::folder(&name);
        let all = std::fs::read_dir(fixture(&name)).unwrap().map(|entry| entry.unwrap().file_name());
        let files = all.map(|file| file.into_string().unwrap()).filter(|file| file.ends_with(".safetensors"));
        let layers = json(&format!("{name}/config.json"))["num_hidden_layers"].as_u64().unwrap();
        let beyond = format!("model.layers.{layers}.");
        for file in files {
            let whole = checkpoint::tensors(&bytes(&format!("{name}/{file}")));
            for (tensor, (dtype, shape, data)) in whole.iter().filter(|(name, _)| !name.starts_with(&beyond)) {
                let fewer: Vec<usize> = [shape[0] - 1].iter().chain(&shape[1..]).copied().collect();
                let part = data[..data.len() / shape[0] * fewer[0]].to_vec();
                let faults = [
                    None,
                    Some((dtype.clone(), fewer, part)),
                    Some((other(dtype).to_owned(), shape.clone(), data.clone())),
                ];
                for fault in faults {
                    let mut changed = whole.clone();
                    match &fault {
                        Some(fault) => changed.insert(tensor.clone(), fault.clone()),
                        None => changed.remove(tensor),
                    };
                    source.insert(file.as_str(), checkpoint::file(&changed));
                    let error = refuse(&source, u64::MAX);
                    let (code, said) = (error.code(), error.to_string());
                    assert!(code == "tensor" && said.contains(tensor.as_str()), "{name}: {tensor}: {said}");
                    count += 1;
                }
            }
            source.insert(file.as_str(), checkpoint::file(&whole));
        }
    }
    println!("{count} refused");
    assert!(count > 2_000);
}
