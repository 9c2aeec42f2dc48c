package org.dermdistill

import android.content.Context
import android.graphics.Bitmap
import android.graphics.ColorSpace
import android.graphics.ImageDecoder
import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.math.exp
import kotlin.math.floor
import kotlin.math.max
import kotlin.math.min
import kotlin.math.round
import org.json.JSONObject
import org.tensorflow.lite.Interpreter

/** Whether [malignancy] reaches the operating point is [suspicious]; null where the model has none. */
class Answer(val probabilities: Map<String, Double>, val malignancy: Double, val suspicious: Boolean?) {
    val label: String get() = probabilities.maxByOrNull { it.value }!!.key
}

/**
 * Classifies dermatoscopic images. For teaching and research: this is no medical device. Whatever a picture shows, it
 * gets a diagnosis: the check that refuses foreign pictures is not in this folder.
 *
 * Put model.json and the .tflite file into src/main/assets, and into build.gradle.kts:
 * implementation("com.google.ai.edge.litert:litert:1.4.2"), which needs Android 5 (API 21); [decode] needs Android 9
 * (API 28). One thread at a time may ask a classifier.
 */
class Classifier(context: Context) : AutoCloseable {
    private val model = JSONObject(String(context.assets.open("model.json").use { it.readBytes() }))
    private val size = model.getJSONObject("input").getInt("size")
    private val classes = strings("classes")
    private val interpreter = context.assets.open(model.getString("file")).use { it.readBytes() }.let { bytes ->
        val buffer = ByteBuffer.allocateDirect(bytes.size).order(ByteOrder.nativeOrder()).put(bytes)
        Interpreter(buffer.rewind() as ByteBuffer, Interpreter.Options().setNumThreads(2))
    }

    /** What the model says of an upright sRGB image, such as [decode] gives. */
    fun classify(image: Bitmap): Answer {
        require(min(image.width, image.height) >= size) { "expected at least $size x $size pixels" }
        val readable = checkNotNull(image.copy(Bitmap.Config.ARGB_8888, false)) // pixels of a HARDWARE bitmap are not
        val argb = IntArray(image.width * image.height)
        readable.getPixels(argb, 0, image.width, 0, 0, image.width, image.height)
        val pixels = ByteBuffer.allocateDirect(size * size * 3).order(ByteOrder.nativeOrder())
        pixels.put(averageByArea(argb, image.width, image.height, size)).rewind()
        val logits = Array(1) { FloatArray(classes.size) }
        interpreter.runSignature(mapOf("image" to pixels), mapOf("logits" to logits), "serving_default")
        val scaled = logits[0].map { it / model.getDouble("temperature") }
        val odds = scaled.map { exp(it - scaled.maxOrNull()!!) }
        val probabilities = classes.zip(odds.map { it / odds.sum() }).toMap()
        val malignancy = strings("malignant").sumOf { probabilities.getValue(it) }
        val threshold = model.optDouble("malignancy_threshold") // NaN for null
        return Answer(probabilities, malignancy, if (threshold.isNaN()) null else malignancy >= threshold)
    }

    override fun close() = interpreter.close()

    private fun strings(key: String): List<String> {
        val found = model.getJSONArray(key)
        return List(found.length()) { found.getString(it) }
    }
}

/** An image file, turned upright by its EXIF orientation and converted to sRGB by its colour profile. */
fun decode(source: ImageDecoder.Source): Bitmap = ImageDecoder.decodeBitmap(source) { decoder, _, _ ->
    decoder.allocator = ImageDecoder.ALLOCATOR_SOFTWARE
    decoder.setTargetColorSpace(ColorSpace.get(ColorSpace.Named.SRGB))
}

/**
 * RGB bytes, size x size: each pixel is the mean of the area that it covers, as OpenCV's INTER_AREA has it, over white
 * where the image is transparent.
 */
fun averageByArea(argb: IntArray, width: Int, height: Int, size: Int): ByteArray {
    val rgb = ByteArray(size * size * 3)
    val halvesUp = width == 2 * size && height == 2 * size // otherwise to even, as OpenCV and `round` do
    for (row in 0 until size) for (column in 0 until size) {
        val top = row * height / size.toDouble()
        val bottom = (row + 1) * height / size.toDouble()
        val left = column * width / size.toDouble()
        val right = (column + 1) * width / size.toDouble()
        val sum = DoubleArray(3)
        for (y in top.toInt() until min(height, bottom.toInt() + 1)) {
            val tall = min(bottom, y + 1.0) - max(top, y.toDouble())
            for (x in left.toInt() until min(width, right.toInt() + 1)) {
                val share = tall * (min(right, x + 1.0) - max(left, x.toDouble()))
                val pixel = argb[y * width + x]
                val opaque = (pixel ushr 24) / 255.0
                for (c in 0..2) sum[c] += share * (255 - opaque * (255 - (pixel shr (16 - 8 * c) and 0xFF)))
            }
        }
        val area = (bottom - top) * (right - left)
        for (c in 0..2) {
            val mean = sum[c] / area
            rgb[(row * size + column) * 3 + c] = (if (halvesUp) floor(mean + 0.5) else round(mean)).toInt().toByte()
        }
    }
    return rgb
}
