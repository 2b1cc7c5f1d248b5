/// A `.npy` file (NumPy format versions 1 and 2, `numpy.lib.format`): little-endian, row-major arrays of the element
/// types the engine exchanges. Pure: bytes in, bytes out.
package struct NumPyArray: Equatable, Sendable {
  /// Why bytes are no array this reader takes.
  package struct FormatError: Error, Equatable, Sendable, CustomStringConvertible {
    package let found: String
    package let expected: String

    package var description: String { "npy: \(found); expected \(expected)" }
  }

  package enum Element: String, Sendable, CaseIterable {
    case int8 = "|i1"
    case uint8 = "|u1"
    case int32 = "<i4"
    case int64 = "<i8"
    case float32 = "<f4"
    case float64 = "<f8"

    /// Bytes of one element.
    package var size: Int {
      switch self {
      case .int8, .uint8: 1
      case .int32, .float32: 4
      case .int64, .float64: 8
      }
    }
  }

  package let element: Element
  /// Outermost dimension first; empty for a scalar.
  package let shape: [Int]
  /// Row-major little-endian elements.
  package let bytes: [UInt8]

  package var elementCount: Int { shape.reduce(1, *) }

  /// - Precondition: `bytes` has exactly the size of `shape`.
  package init(element: Element, shape: [Int], bytes: [UInt8]) {
    precondition(bytes.count == shape.reduce(element.size, *), "the bytes do not fill the shape")
    self.element = element
    self.shape = shape
    self.bytes = bytes
  }

  /// Parses a whole file.
  package init(file: [UInt8]) throws(FormatError) {
    guard file.count >= 10, file[0] == 0x93, file[1..<6].elementsEqual("NUMPY".utf8) else {
      throw FormatError(found: "no NUMPY signature", expected: "a .npy file")
    }
    let headerLength: Int
    let headerStart: Int
    switch file[6] {
    case 1:
      headerLength = Int(file[8]) | Int(file[9]) << 8
      headerStart = 10
    case 2, 3:
      guard file.count >= 12 else {
        throw FormatError(found: "a file of \(file.count) bytes", expected: "a whole header")
      }
      headerLength = (0..<4).reduce(0) { $0 | Int(file[8 + $1]) << (8 * $1) }
      headerStart = 12
    default:
      throw FormatError(found: "format version \(file[6])", expected: "1, 2 or 3")
    }
    guard headerLength <= 1 << 16, headerStart + headerLength <= file.count else {
      throw FormatError(
        found: "a header of \(headerLength) bytes in a file of \(file.count)", expected: "a whole header")
    }
    let header = try Header(String(decoding: file[headerStart..<headerStart + headerLength], as: UTF8.self))
    let data = file[(headerStart + headerLength)...]
    var size = header.element.size
    for dimension in header.shape {
      let (product, overflow) = size.multipliedReportingOverflow(by: dimension)
      guard !overflow else {
        throw FormatError(found: "shape \(header.shape)", expected: "a size that fits memory")
      }
      size = product
    }
    guard data.count == size else {
      throw FormatError(
        found: "\(data.count) bytes of data for shape \(header.shape)", expected: "\(size)")
    }
    element = header.element
    shape = header.shape
    bytes = header.isColumnMajor ? Self.rowMajor(data, shape: header.shape, size: header.element.size) : Array(data)
  }

  /// The whole file, format version 1, data aligned to 64 bytes.
  package var file: [UInt8] {
    let dimensions = shape.count == 1 ? "\(shape[0])," : shape.map(String.init).joined(separator: ", ")
    var header = "{'descr': '\(element.rawValue)', 'fortran_order': False, 'shape': (\(dimensions)), }"
    let padding = (64 - (10 + header.utf8.count + 1) % 64) % 64
    header += String(repeating: " ", count: padding) + "\n"
    let length = header.utf8.count
    return [0x93] + Array("NUMPY".utf8) + [1, 0, UInt8(length & 0xff), UInt8(length >> 8)] + Array(header.utf8) + bytes
  }

  private static func rowMajor(_ data: ArraySlice<UInt8>, shape: [Int], size: Int) -> [UInt8] {
    var strides = [Int](repeating: 1, count: shape.count)
    for axis in shape.indices.dropFirst() {
      strides[axis] = strides[axis - 1] * shape[axis - 1]
    }
    var result: [UInt8] = []
    result.reserveCapacity(data.count)
    for index in 0..<shape.reduce(1, *) {
      let source = data.startIndex + ReferenceKernels.offset(of: index, shape: shape, strides: strides) * size
      result.append(contentsOf: data[source..<source + size])
    }
    return result
  }
}

extension NumPyArray {
  /// The Python dictionary literal of a header. Only the three keys NumPy writes, in any order.
  private struct Header {
    var element: Element
    var isColumnMajor: Bool
    var shape: [Int]

    init(_ text: String) throws(FormatError) {
      guard let descriptor = Self.value(of: "descr", in: text), let order = Self.value(of: "fortran_order", in: text),
        let dimensions = Self.value(of: "shape", in: text)
      else {
        throw FormatError(found: "header \(text.prefix(120))", expected: "descr, fortran_order and shape")
      }
      let name = descriptor.filter { $0 != "'" && $0 != "\"" }
      // Byte order does not matter for single bytes.
      let normalised = name.hasSuffix("i1") ? "|i1" : name.hasSuffix("u1") ? "|u1" : name
      guard let element = Element(rawValue: normalised) else {
        throw FormatError(
          found: "element type \(name)", expected: Element.allCases.map(\.rawValue).joined(separator: ", "))
      }
      self.element = element
      isColumnMajor = order == "True"
      shape = []
      for part in dimensions.dropFirst().dropLast().split(separator: ",") {
        let digits = part.filter { $0 != " " && $0 != "L" }
        if digits.isEmpty { continue }
        guard let dimension = Int(digits), dimension >= 0 else {
          throw FormatError(found: "dimension \(part)", expected: "a number of at least 0")
        }
        shape.append(dimension)
      }
      guard shape.count <= 32 else {
        throw FormatError(found: "\(shape.count) dimensions", expected: "at most 32")
      }
    }

    /// The text after `'key':`, up to the comma or brace that ends it; a tuple counts as one value.
    private static func value(of key: String, in text: String) -> String? {
      let characters = Array(text)
      for quote in ["'", "\""] {
        let pattern = Array("\(quote)\(key)\(quote)")
        guard characters.count >= pattern.count else { return nil }
        for start in 0...(characters.count - pattern.count)
        where characters[start..<start + pattern.count].elementsEqual(pattern) {
          guard let colon = characters[(start + pattern.count)...].firstIndex(of: ":") else { return nil }
          var value = ""
          var isInTuple = false
          for character in characters[(colon + 1)...] {
            if character == "(" { isInTuple = true }
            if !isInTuple, character == "," || character == "}" { break }
            if value.isEmpty, character == " " { continue }
            value.append(character)
            if character == ")" { break }
          }
          while value.last == " " { value.removeLast() }
          return value
        }
      }
      return nil
    }
  }
}
