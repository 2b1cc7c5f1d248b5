"""Keras models to fully int8 .tflite files, and the reference kernels that say what they give."""

import os
import subprocess
import tempfile

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
os.environ.setdefault("CUDA_VISIBLE_DEVICES", "-1")

import numpy as np

# One quantisation step of every input tensor, in the network's own unit: a power of two, so that it is exact.
INPUT_STEP = 1 / 32


def real(q):
    """int8 inputs as the real numbers that the network is trained on."""
    return q.astype(np.float32) * INPUT_STEP


def convert(model, q_inputs):
    """The int8 .tflite of a Keras model; `q_inputs` (int8) are the representative inputs."""
    import tensorflow as tf
    from tensorflow.python.framework.convert_to_constants import convert_variables_to_constants_v2

    def representative():
        # The two ends of int8 first: they fix the input's scale at INPUT_STEP and its zero point at 0.
        for end in (-128, 127):
            yield [np.full((1, *q_inputs.shape[1:]), end * INPUT_STEP, np.float32)]
        for q in q_inputs[:400]:
            yield [real(q)[None]]

    shape = [1, *q_inputs.shape[1:]]
    function = tf.function(lambda x: model(x, training=False)).get_concrete_function(
        tf.TensorSpec(shape, tf.float32, name="input"))
    # Frozen first: the calibrator cannot read variables.
    frozen = convert_variables_to_constants_v2(function)
    converter = tf.lite.TFLiteConverter.from_concrete_functions([frozen])
    converter.optimizations = [tf.lite.Optimize.DEFAULT]
    converter.representative_dataset = representative
    converter.target_spec.supported_ops = [tf.lite.OpsSet.TFLITE_BUILTINS_INT8]
    converter.inference_input_type = tf.int8
    converter.inference_output_type = tf.int8
    return converter.convert()


class Reference:
    """LiteRT's reference kernels on one thread: the oracle of every golden output."""

    def __init__(self, content):
        from ai_edge_litert.interpreter import Interpreter, OpResolverType
        self.content = content
        self.interpreter = Interpreter(
            model_content=content, num_threads=1, experimental_op_resolver_type=OpResolverType.BUILTIN_REF)
        self.interpreter.allocate_tensors()
        self.input = self.interpreter.get_input_details()[0]
        self.outputs = self.interpreter.get_output_details()
        self.many = None  # what gives the same for many samples in less time

    def __call__(self, q):
        """int8 [n, ...] -> one int8 [n, ...] an output; by the device's own engine where THERMOGRAPH names its binary and the
        samples are many (it gives the same bytes, `thermograph model verify` shows that, in a hundredth of the time)."""
        if self.many and len(q) > 64:
            return self.many(q)
        binary = os.environ.get("THERMOGRAPH")
        if binary and len(q) > 64:
            return self.on_device(binary, q)
        results = [[] for _ in self.outputs]
        for sample in q:
            self.interpreter.set_tensor(self.input["index"], sample[None])
            self.interpreter.invoke()
            for result, output in zip(results, self.outputs):
                result.append(self.interpreter.get_tensor(output["index"])[0].copy())
        return [np.stack(r) for r in results]

    def on_device(self, binary, q):
        with tempfile.TemporaryDirectory() as folder:
            file = lambda name: os.path.join(folder, name)
            with open(file("model.tflite"), "wb") as model:
                model.write(self.content)
            np.save(file("input.npy"), np.ascontiguousarray(q))
            outputs = [file(f"output{k}.npy") for k in range(len(self.outputs))]
            subprocess.run([binary, "infer", "--model", file("model.tflite"), "--input", file("input.npy"),
                            *[x for o in outputs for x in ("--output", o)]], check=True, capture_output=True)
            return [np.load(o).reshape(len(q), *[int(x) for x in d["shape"][1:]]) for o, d in zip(outputs, self.outputs)]

    @staticmethod
    def tensor(detail, name):
        scale, zero = detail["quantization_parameters"]["scales"], detail["quantization_parameters"]["zero_points"]
        return {"name": name, "shape": [int(x) for x in detail["shape"][1:]],
                "scale": float(scale[0]), "zero_point": int(zero[0])}
