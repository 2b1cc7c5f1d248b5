@testable import Inference

/// Where the values of a model file lie, so that tests can change one and keep the structure around it.
struct ModelSurgery {
  /// A scalar of the file.
  struct Field {
    enum Kind {
      /// Shapes, indices, strides and other 32-bit integers; vector lengths and offsets too.
      case int32
      case byte
      case float
      case int64
    }

    var position: Int
    var kind: Kind
    var role: String
  }

  private(set) var fields: [Field] = []
  private let buffer: FlatBuffer
  private(set) var operatorOptions: [FlatTable?] = []

  /// - Parameter bytes: a model that loads.
  init(_ bytes: [UInt8]) throws {
    buffer = FlatBuffer(bytes: bytes)
    let root = try buffer.table(at: buffer.target(at: 0))
    if let codes = try root.vector(1, elementSize: 4) {
      for index in 0..<codes.count {
        let code = try codes.table(at: index)
        try add(code, 0, .byte, "code")
        try add(code, 2, .int32, "version")
        try add(code, 3, .int32, "code")
      }
    }
    if let subgraphs = try root.vector(2, elementSize: 4) {
      try addSubgraph(subgraphs.table(at: 0))
    }
    if let buffers = try root.vector(4, elementSize: 4) {
      for index in 0..<buffers.count {
        let table = try buffers.table(at: index)
        try addReference(table, 0, "data")
        if let data = try table.vector(0, elementSize: 1), data.count <= 64 {
          // Small constants are axes, paddings, begins, ends and biases.
          for offset in stride(from: 0, to: data.count - 3, by: 4) {
            fields.append(Field(position: data.start + offset, kind: .int32, role: "constant"))
          }
        }
      }
    }
  }

  private mutating func addSubgraph(_ subgraph: FlatTable) throws {
    try addVector(subgraph, 1, .int32, "model input")
    try addVector(subgraph, 2, .int32, "model output")
    if let tensors = try subgraph.vector(0, elementSize: 4) {
      for index in 0..<tensors.count {
        let tensor = try tensors.table(at: index)
        try addVector(tensor, 0, .int32, "shape")
        try add(tensor, 1, .byte, "type")
        try add(tensor, 2, .int32, "buffer")
        try addVector(tensor, 7, .int32, "signature")
        if let quantization = try tensor.table(4) {
          try addVector(quantization, 2, .float, "scale")
          try addVector(quantization, 3, .int64, "zero point")
          try add(quantization, 6, .int32, "axis")
        }
      }
    }
    if let operators = try subgraph.vector(3, elementSize: 4) {
      for index in 0..<operators.count {
        let entry = try operators.table(at: index)
        try add(entry, 0, .int32, "code index")
        try addVector(entry, 1, .int32, "input")
        try addVector(entry, 2, .int32, "output")
        try add(entry, 3, .byte, "options type")
        let options = try entry.table(4)
        operatorOptions.append(options)
        for field in 0..<8 {
          if let options { try add(options, field, .byte, "option \(field)") }
          if let options, (try? options.field(field, size: 4)) != nil { try add(options, field, .int32, "option") }
        }
      }
    }
  }

  private mutating func add(_ table: FlatTable, _ id: Int, _ kind: Field.Kind, _ role: String) throws {
    let size = kind == .byte ? 1 : kind == .int64 ? 8 : 4
    if let position = try table.field(id, size: size) {
      fields.append(Field(position: position, kind: kind, role: role))
    }
  }

  /// The offset to a vector and the vector's length.
  private mutating func addReference(_ table: FlatTable, _ id: Int, _ role: String) throws {
    guard let position = try table.field(id, size: 4) else { return }
    fields.append(Field(position: position, kind: .int32, role: "\(role) offset"))
    fields.append(Field(position: try buffer.target(at: position), kind: .int32, role: "\(role) length"))
  }

  private mutating func addVector(_ table: FlatTable, _ id: Int, _ kind: Field.Kind, _ role: String) throws {
    try addReference(table, id, role)
    let size = kind == .int64 ? 8 : 4
    guard let vector = try table.vector(id, elementSize: size) else { return }
    for index in 0..<min(vector.count, 64) {
      fields.append(Field(position: vector.start + index * size, kind: kind, role: role))
    }
  }
}

extension [UInt8] {
  mutating func store(_ value: some FixedWidthInteger, at position: Int) {
    Swift.withUnsafeBytes(of: value.littleEndian) { raw in
      for (index, byte) in raw.enumerated() where position + index < count {
        self[position + index] = byte
      }
    }
  }

  func int32(at position: Int) -> Int32 {
    (0..<4).reduce(0) { $0 | Int32(bitPattern: UInt32(self[position + $1]) << UInt32(8 * $1)) }
  }
}
