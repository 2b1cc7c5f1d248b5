import Testing

@testable import Inference

@Suite("NumPy arrays")
struct NumPyArrayTests {
  /// A file as `numpy.lib.format` describes it, header padded with blanks to a multiple of 64.
  private func file(version: UInt8 = 1, header: String, data: [UInt8]) -> [UInt8] {
    let prefix = version == 1 ? 10 : 12
    let length = (prefix + header.utf8.count + 1 + 63) / 64 * 64 - prefix
    let text = header + String(repeating: " ", count: length - header.utf8.count - 1) + "\n"
    var bytes: [UInt8] = [0x93] + Array("NUMPY".utf8) + [version, 0, UInt8(length & 0xff), UInt8(length >> 8)]
    if version > 1 { bytes += [0, 0] }
    return bytes + Array(text.utf8) + data
  }

  @Test("versions 1 and 2, as NumPy writes them", arguments: [1, 2, 3] as [UInt8])
  func read(version: UInt8) throws {
    let header = "{'descr': '|i1', 'fortran_order': False, 'shape': (2, 3), }"
    let array = try NumPyArray(file: file(version: version, header: header, data: [1, 2, 3, 4, 5, 255]))
    #expect(array == NumPyArray(element: .int8, shape: [2, 3], bytes: [1, 2, 3, 4, 5, 255]))
  }

  @Test("one dimension, scalars and keys in another order")
  func shapes() throws {
    let vector = "{\"shape\": (2,), \"fortran_order\": False, \"descr\": \"<f4\"}"
    #expect(try NumPyArray(file: file(header: vector, data: [UInt8](repeating: 0, count: 8))).shape == [2])
    let scalar = "{'descr': '<i8', 'fortran_order': False, 'shape': (), }"
    #expect(try NumPyArray(file: file(header: scalar, data: [UInt8](repeating: 0, count: 8))).shape == [])
  }

  @Test("column-major arrays become row-major")
  func columnMajor() throws {
    let header = "{'descr': '|u1', 'fortran_order': True, 'shape': (2, 3), }"
    // numpy.asfortranarray([[1, 2, 3], [4, 5, 6]]) is stored 1 4 2 5 3 6.
    #expect(try NumPyArray(file: file(header: header, data: [1, 4, 2, 5, 3, 6])).bytes == [1, 2, 3, 4, 5, 6])
  }

  @Test("what is written is read again, data aligned to 64", arguments: [[], [3], [2, 3], [0, 4]] as [[Int]])
  func roundTrip(shape: [Int]) throws {
    let count = shape.reduce(4, *)
    let array = NumPyArray(element: .float32, shape: shape, bytes: (0..<count).map { UInt8($0) })
    #expect(array.file.count % 64 == count % 64)
    #expect(try NumPyArray(file: array.file) == array)
  }

  @Test(
    "refused",
    arguments: [
      "{'descr': '|i1', 'fortran_order': False, 'shape': (7,), }",
      "{'descr': '>f4', 'fortran_order': False, 'shape': (1,), }",
      "{'descr': '|i1', 'fortran_order': False, 'shape': (-6,), }",
      "{'descr': '|i1', 'fortran_order': False, 'shape': (4611686018427387904, 8), }",
      "{'descr': '|i1', 'fortran_order': False, }",
      "",
    ])
  func refused(header: String) {
    #expect(throws: NumPyArray.FormatError.self) {
      try NumPyArray(file: file(header: header, data: [1, 2, 3, 4, 5, 6]))
    }
  }

  @Test("every truncation is refused")
  func truncated() {
    let whole = NumPyArray(element: .int8, shape: [4], bytes: [1, 2, 3, 4]).file
    for length in 0..<whole.count {
      #expect(throws: NumPyArray.FormatError.self) { try NumPyArray(file: Array(whole[..<length])) }
    }
  }
}

@Suite("Sample batches")
struct SampleBatchTests {
  private func model(_ name: String) throws -> Model { try Model(bytes: GoldenVectors.bytes(name)) }

  private func zeros(_ shape: [Int], _ element: NumPyArray.Element = .int8) -> NumPyArray {
    NumPyArray(element: element, shape: shape, bytes: [UInt8](repeating: 0, count: shape.reduce(element.size, *)))
  }

  @Test("the sample axis may stand before the batch of one, or take its place")
  func sampleAxis() throws {
    let model = try model("models/s7_thermal24x32")
    for (shape, output) in [([5, 24, 32, 1], [5, 3]), ([5, 1, 24, 32, 1], [5, 1, 3]), ([1, 24, 32, 1], [1, 3])] {
      let batch = try SampleBatch([zeros(shape)], for: model)
      #expect(batch.count == shape[0])
      let results = (0..<batch.count).map { _ in [[UInt8]]([[1, 2, 3]]) }
      #expect(batch.collect(results)[0].shape == output)
    }
  }

  @Test("a model with a batch of its own takes multiples of it")
  func modelBatch() throws {
    let model = try model("ops/conv_batch3")
    let shape = model.inputs[0].shape
    #expect(shape[0] == 3)
    let tail = Array(shape.dropFirst())
    #expect(try SampleBatch([zeros([6] + tail)], for: model).count == 2)
    #expect(try SampleBatch([zeros([2] + shape)], for: model).count == 2)
    #expect(throws: SampleBatch.Mismatch.self) { try SampleBatch([zeros([4] + tail)], for: model) }
  }

  @Test("floats are quantised at the border like QUANTIZE does it")
  func floats() throws {
    let model = try model("models/s7_thermal24x32")
    let tensor = model.inputs[0]
    let values: [Float] = (0..<768).map { Float($0) * tensor.scale / 2 - 1 }
    let bytes = values.flatMap { withUnsafeBytes(of: $0.bitPattern.littleEndian, [UInt8].init) }
    let batch = try SampleBatch([NumPyArray(element: .float32, shape: [1, 24, 32, 1], bytes: bytes)], for: model)
    let expected = values.map { value -> UInt8 in
      let steps = (value / tensor.scale).rounded(.toNearestOrAwayFromZero) + Float(tensor.zeroPoint)
      return UInt8(bitPattern: Int8(min(max(steps, -128), 127)))
    }
    #expect(batch.sample(0)[0] == expected)
  }

  @Test("what does not fit says what would")
  func mismatches() throws {
    let model = try model("models/s7_thermal24x32")
    let wrong = try #require(throws: SampleBatch.Mismatch.self) {
      try SampleBatch([zeros([2, 32, 24, 1])], for: model)
    }
    #expect(
      wrong.description == "input 0 has shape [2, 32, 24, 1]; expected samples of [1, 24, 32, 1] along the first axis")
    #expect(throws: SampleBatch.Mismatch.self) { try SampleBatch([], for: model) }
    #expect(throws: SampleBatch.Mismatch.self) { try SampleBatch([zeros([2, 24, 32, 1], .uint8)], for: model) }
  }
}
