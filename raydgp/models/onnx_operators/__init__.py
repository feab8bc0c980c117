"""ONNX operators that TVM's importer lacks or gets wrong, translated to Relax."""
