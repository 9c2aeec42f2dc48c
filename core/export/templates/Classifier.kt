package org.dermdistill

import android.content.Context
import android.graphics.Bitmap
import java.nio.ByteBuffer
import java.nio.ByteOrder
import kotlin.math.exp
import kotlin.math.max
import kotlin.math.min
import kotlin.math.round
import org.json.JSONObject
import org.tensorflow.lite.Interpreter

/**
 * Classifies dermatoscopic images. For teaching and research: this is no medical device.
 *
 * Put model.json and the .tflite file into src/main/assets, and into build.gradle.kts:
 * implementation("com.google.ai.edge.litert:litert:1.4.0"). One thread at a time may ask a classifier.
 */
class Classifier(context: Context) : AutoCloseable {
    private val model = JSONObject(String(context.assets.open("model.json").use { it.readBytes() }))
    private val size = model.getJSONObject("input").getInt("size")
    private val classes = model.getJSONArray("classes").let { list -> List(list.length()) { list.getString(it) } }
    private val interpreter = context.assets.open(model.getString("file")).use { it.readBytes() }.let { bytes ->
        val buffer = ByteBuffer.allocateDirect(bytes.size).order(ByteOrder.nativeOrder()).put(bytes)
        Interpreter(buffer.rewind() as ByteBuffer, Interpreter.Options().setNumThreads(2))
    }

    /** Class -> calibrated probability, of an upright, opaque sRGB image of at least 224 x 224 pixels. */
    fun classify(image: Bitmap): Map<String, Double> {
        val argb = IntArray(image.width * image.height)
        image.getPixels(argb, 0, image.width, 0, 0, image.width, image.height)
        val pixels = ByteBuffer.allocateDirect(size * size * 3).order(ByteOrder.nativeOrder())
        pixels.put(averageByArea(argb, image.width, image.height, size)).rewind()
        val logits = Array(1) { FloatArray(classes.size) }
        interpreter.runSignature(mapOf("image" to pixels), mapOf("logits" to logits), "serving_default")
        val scaled = logits[0].map { it / model.getDouble("temperature") }
        val odds = scaled.map { exp(it - scaled.max()) }
        return classes.zip(odds.map { it / odds.sum() }).toMap()
    }

    override fun close() = interpreter.close()
}

/** RGB bytes, size x size: each pixel is the mean of the area that it covers, as OpenCV's INTER_AREA has it. */
fun averageByArea(argb: IntArray, width: Int, height: Int, size: Int): ByteArray {
    val rgb = ByteArray(size * size * 3)
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
                for (c in 0..2) sum[c] += share * (argb[y * width + x] shr (16 - 8 * c) and 0xFF)
            }
        }
        val area = (bottom - top) * (right - left)
        for (c in 0..2) rgb[(row * size + column) * 3 + c] = round(sum[c] / area).toInt().toByte()
    }
    return rgb
}
