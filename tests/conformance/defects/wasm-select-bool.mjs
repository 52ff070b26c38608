// Truth values chosen from truth values: the wasm backend writes four bytes for each, over what lies behind the result,
// which is other tensors and the records of its memory.
export const right = "cpu";
export const wrong = "wasm";
export const compute = (tf) => {
  const flags = tf.ones([64], "bool");
  const room = tf.ones([64], "bool");
  const behind = tf.fill([64], 7);
  room.dispose();
  try {
    tf.where(flags, flags, flags);
    return behind;
  } catch {
    return { shape: [0], dtype: "none", dataSync: () => [] };
  }
};
