//! Every shader keeps its kernel's contract and WebGPU's default limits.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]

use moebius_engine::format::FORMATS;
use moebius_engine::kernel::{Access, KERNELS, Kernel, shader, shaders};
use naga::{AddressSpace, StorageAccess};

#[test]
fn every_kernel_and_format_has_a_shader_and_no_other_is_built() {
    let mut expected = 0;
    for kernel in KERNELS {
        let formats = if kernel.per_format { FORMATS.map(Some).to_vec() } else { vec![None] };
        for format in formats {
            expected += 1;
            let found = shader(kernel, format, false);
            assert!(found.is_some_and(|s| !s.subgroups), "{} {format:?} without options", kernel.name);
        }
    }
    // With subgroup operations there are more, each beside one without.
    assert_eq!(shaders().iter().filter(|s| !s.subgroups).count(), expected);
    assert!(shaders().iter().any(|s| s.subgroups));
}

#[test]
fn bindings_are_those_of_the_twin() {
    for (kernel, text) in texts() {
        let module = naga::front::wgsl::parse_str(&text).expect("the build checks that shaders parse");
        let mut found: Vec<_> = module
            .global_variables
            .iter()
            .filter_map(|(_, v)| v.binding.as_ref().map(|b| (b.binding, v.name.clone().unwrap_or_default(), v.space)))
            .collect();
        found.sort_by_key(|f| f.0);
        assert_eq!(found.len(), kernel.bindings.len() + 1, "{}", kernel.name);
        assert_eq!((found[0].0, found[0].2), (0, AddressSpace::Uniform), "{}", kernel.name);
        for (i, (binding, (number, name, space))) in kernel.bindings.iter().zip(&found[1..]).enumerate() {
            assert_eq!((*number, name.as_str()), (i as u32 + 1, binding.name), "{}", kernel.name);
            let wanted = match binding.access {
                Access::Uniform => AddressSpace::Uniform,
                Access::Read => AddressSpace::Storage { access: StorageAccess::LOAD },
                Access::Write => AddressSpace::Storage { access: StorageAccess::LOAD | StorageAccess::STORE },
            };
            assert_eq!(*space, wanted, "{} {}", kernel.name, binding.name);
        }
    }
}

#[test]
fn default_limits_suffice() {
    for (kernel, text) in texts() {
        let module = naga::front::wgsl::parse_str(&text).expect("the build checks that shaders parse");
        let storage = kernel.bindings.iter().filter(|b| b.access != Access::Uniform).count();
        assert!(storage <= 8, "{}: {storage} storage buffers", kernel.name);
        let mut sizes = naga::proc::Layouter::default();
        sizes.update(module.to_ctx()).expect("the build checks that shaders are valid");
        let shared = module.global_variables.iter().filter(|(_, v)| v.space == AddressSpace::WorkGroup);
        let bytes: u32 = shared.map(|(_, v)| sizes[v.ty].size.next_multiple_of(16)).sum();
        assert!(bytes <= 16 << 10, "{}: {bytes} bytes of workgroup memory", kernel.name);
        let entry = module.entry_points.iter().find(|e| e.name == "main").expect("an entry point named main");
        assert!(entry.workgroup_size.iter().product::<u32>() <= 256, "{}: invocations", kernel.name);
    }
}

fn texts() -> Vec<(&'static Kernel, String)> {
    let of = |name: &str| KERNELS.into_iter().find(|k| k.name == name).unwrap_or_else(|| panic!("no kernel {name}"));
    shaders().iter().map(|s| (of(s.kernel), s.text(false))).collect()
}
