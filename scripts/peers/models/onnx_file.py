"""ONNX for onnxruntime: matrices as MatMulNBits, experts as QMoE, attention as GroupQueryAttention, in the same codes."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from shapes import CONTEXT, EPS, THETA, VOCAB
from weights import BLOCK, Codes

CONTRIB = "com.microsoft"
# Of transformers.js, by bits.
NAMES = {4: "q4", 8: "int8"}
FLOAT, INT64 = TensorProto.FLOAT, TensorProto.INT64


def packed(matrix):
    """Of 4 bits neighbouring columns in a byte, the first one low: `[rows, blocks, bytes]`; and scales in f32."""
    rows, cols = matrix.codes.shape
    if matrix.bits == 8:
        return matrix.codes.reshape(rows, cols // BLOCK, BLOCK), matrix.scales.astype(np.float32)
    pairs = matrix.codes[:, 0::2] | matrix.codes[:, 1::2] << 4
    return pairs.reshape(rows, cols // BLOCK, BLOCK // 2), matrix.scales.astype(np.float32)


class Graph:
    """Nodes and constants as they are added; every node is called after its first output."""

    def __init__(self, weights):
        self.weights, self.nodes, self.constants, self.known = weights, [], [], set()

    def constant(self, name, values):
        if name not in self.known:
            self.known.add(name)
            self.constants.append(numpy_helper.from_array(np.ascontiguousarray(values), name))
        return name

    def node(self, kind, inputs, *outputs, contrib=False, **attributes):
        domain = CONTRIB if contrib else ""
        self.nodes.append(helper.make_node(kind, inputs, list(outputs), outputs[0], domain=domain, **attributes))
        return outputs[0]

    def matmul(self, x, name, out):
        """`accuracy_level` 4: activations may be rounded to int8, as in published files."""
        w = self.weights[name]
        codes, scales = packed(w)
        inputs = [x, self.constant(name + ".codes", codes), self.constant(name + ".scales", scales.reshape(-1))]
        rows, cols = w.codes.shape
        sizes = {"N": rows, "K": cols, "bits": w.bits, "block_size": BLOCK}
        return self.node("MatMulNBits", inputs, out, contrib=True, accuracy_level=4, **sizes)

    def norm(self, x, name, out):
        gain = self.constant(name, self.weights[name])
        return self.node("SimplifiedLayerNormalization", [x, gain], out, axis=-1, epsilon=EPS)

    def add_and_norm(self, x, y, name, out, total):
        """`total = x + y`, and its norm. An empty name for `total` leaves it out."""
        gain = self.constant(name, self.weights[name])
        outputs = [out, "", "", total] if total else [out]
        kind = "SkipSimplifiedLayerNormalization"
        return self.node(kind, [x, y, gain], *outputs, contrib=True, epsilon=EPS)


def positions(g):
    """What attention wants to know: the last position of the row, how many there are, and the rotary tables."""
    one, axis = g.constant("one", np.array([1])), g.constant("axis", np.array([1]))
    count = g.node("ReduceSum", ["attention_mask", axis], "mask.count", keepdims=0)
    g.node("Cast", [g.node("Sub", [count, one], "mask.last")], "last_position", to=TensorProto.INT32)
    length = g.node("Gather", [g.node("Shape", ["attention_mask"], "mask.shape"), g.constant("1", np.array(1))], "length")
    g.node("Cast", [length], "total_length", to=TensorProto.INT32)
    return ["last_position", "total_length"]


def rotary(g, head):
    angles = np.outer(np.arange(CONTEXT), THETA ** (-np.arange(0, head, 2) / head))
    return [g.constant(n, f(angles).astype(np.float32)) for n, f in (("cos", np.cos), ("sin", np.sin))]


def attention(g, config, i, x, where):
    """Attention of layer `i` on a normed input, up to its output projection."""
    at, head = f"model.layers.{i}.self_attn.", config["head_dim"]
    heads = {"q": config["num_attention_heads"], "k": config["num_key_value_heads"]}
    inputs = []
    for name, count in heads.items():
        flat = g.matmul(x, f"{at}{name}_proj.weight", f"{at}{name}")
        apart = g.constant(f"{count} heads", np.array([0, -1, count, head]))
        together = g.constant(f"{count} heads flat", np.array([0, -1, count * head]))
        split = g.node("Reshape", [flat, apart], f"{at}{name}.split")
        normed = g.norm(split, f"{at}{name}_norm.weight", f"{at}{name}.normed")
        inputs.append(g.node("Reshape", [normed, together], f"{at}{name}.flat"))
    inputs.append(g.matmul(x, f"{at}v_proj.weight", f"{at}v"))
    inputs += [f"past_key_values.{i}.key", f"past_key_values.{i}.value", *where]
    outputs = [f"{at}mixed", f"present.{i}.key", f"present.{i}.value"]
    counts = {"num_heads": heads["q"], "kv_num_heads": heads["k"], "scale": head**-0.5}
    g.node("GroupQueryAttention", inputs, *outputs, contrib=True, do_rotary=1, rotary_interleaved=0, **counts)
    return g.matmul(f"{at}mixed", f"{at}o_proj.weight", f"{at}out")


def experts(g, config, i, x):
    """The routed experts: rows of gate and up alternate, as QMoE's fused activation reads them."""
    at, count, h = f"model.layers.{i}.mlp.", config["num_experts"], config["hidden_size"]
    router = g.constant(f"{at}gate", g.weights[f"{at}gate.weight"].T)
    rows = g.constant("rows of experts", np.array([-1, count]))
    scores = g.node("Reshape", [g.node("MatMul", [x, router], f"{at}scores"), rows], f"{at}scores.rows")

    def stacked(name, role):
        parts = [packed(role(f"{at}experts.{e}.")) for e in range(count)]
        codes, scales = (np.stack(part) for part in zip(*parts))
        return [
            g.constant(f"{at}{name}.codes", codes.reshape(count, codes.shape[1], -1)),
            g.constant(f"{at}{name}.scales", scales),
        ]

    def gate_up(prefix):
        gate, up = (g.weights[f"{prefix}{role}_proj.weight"] for role in ("gate", "up"))
        both = [np.stack(pair, 1) for pair in ((gate.codes, up.codes), (gate.scales, up.scales))]
        return Codes(both[0].reshape(-1, h), both[1].reshape(-1, h // BLOCK), gate.bits)

    up = stacked("up", gate_up)
    down = stacked("down", lambda prefix: g.weights[f"{prefix}down_proj.weight"])
    how = {"activation_type": "swiglu", "swiglu_fusion": 1, "activation_alpha": 1.0, "activation_beta": 0.0}
    how |= {"k": config["num_experts_per_tok"], "normalize_routing_weights": 1}
    how |= {"expert_weight_bits": g.weights[f"{at}experts.0.up_proj.weight"].bits, "block_size": BLOCK}
    return g.node("QMoE", [x, scores, *up, "", *down], f"{at}out", contrib=True, **how)


def dense(g, i, x):
    at = f"model.layers.{i}.mlp."
    gate, up = (g.matmul(x, f"{at}{role}_proj.weight", f"{at}{role}") for role in ("gate", "up"))
    silu = g.node("Mul", [gate, g.node("Sigmoid", [gate], f"{at}sigmoid")], f"{at}silu")
    return g.matmul(g.node("Mul", [silu, up], f"{at}gated"), f"{at}down_proj.weight", f"{at}out")


def write(path, config, weights):
    g = Graph(weights)
    layers, kv = config["num_hidden_layers"], config["num_key_value_heads"]
    where = positions(g) + rotary(g, config["head_dim"])
    table = g.constant("embedding", weights["model.embed_tokens.weight"].values())
    x = g.node("Gather", [table, "input_ids"], "embedded")
    normed = g.norm(x, "model.layers.0.input_layernorm.weight", "layer.0.normed")
    for i in range(layers):
        after = g.add_and_norm(
            x, attention(g, config, i, normed, where), f"model.layers.{i}.post_attention_layernorm.weight",
            f"layer.{i}.after", f"layer.{i}.sum",
        )  # fmt: skip
        ffn = experts(g, config, i, after) if "num_experts" in config else dense(g, i, after)
        last = i + 1 == layers
        gain = "model.norm.weight" if last else f"model.layers.{i + 1}.input_layernorm.weight"
        x = "" if last else f"layer.{i + 1}.in"
        normed = g.add_and_norm(f"layer.{i}.sum", ffn, gain, f"layer.{i + 1}.normed", x)
    # Generation wants the last position's logits only.
    ends = [g.constant("minus one", np.array([-1])), g.constant("end", np.array([2**62])), "axis"]
    g.matmul(g.node("Slice", [normed, *ends], "last"), "model.embed_tokens.weight", "logits")

    value = helper.make_tensor_value_info
    inputs = [value("input_ids", INT64, ["batch_size", "sequence_length"])]
    inputs.append(value("attention_mask", INT64, ["batch_size", "total_sequence_length"]))
    outputs = [value("logits", FLOAT, ["batch_size", 1, VOCAB])]
    for i in range(layers):
        for role in ("key", "value"):
            for list_, name, length in (
                (inputs, "past_key_values", "past_sequence_length"),
                (outputs, "present", "total_sequence_length"),
            ):
                list_.append(value(f"{name}.{i}.{role}", FLOAT, ["batch_size", kv, length, config["head_dim"]]))
    graph = helper.make_graph(g.nodes, "model", inputs, outputs, g.constants)
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid(CONTRIB, 1)]
    onnx.save(helper.make_model(graph, ir_version=10, opset_imports=opsets), path)
