// Socket.IO, by WebSocket alone; all else is as it is by default. `node socketio.mjs PORT [recovery]`
import { createServer } from "node:http";
import { Server } from "socket.io";

const [port, recovery] = process.argv.slice(2);
const http = createServer();
const io = new Server(http, {
  transports: ["websocket"],
  serveClient: false,
  ...(recovery && { connectionStateRecovery: {} }),
});

io.on("connection", (socket) => {
  socket.on("join", (room) => {
    socket.join(room);
    socket.emit("joined", room);
  });
  socket.on("message", (room, text) => io.to(room).emit("message", text));
});

http.listen(Number(port), "127.0.0.1");
