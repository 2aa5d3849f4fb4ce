// Echo and rooms on Socket.IO, the usual way: rooms by `socket.join`. One
// process, WebSocket only. `node socketio.mjs PORT`; the events and what they look
// like on the wire are in ../README.md.
import http from 'node:http';
import { Server } from 'socket.io';

const BACKLOG = 4096;

const port = Number(process.argv[2]);
const server = http.createServer((_request, response) => response.writeHead(404).end());
const io = new Server(server, { transports: ['websocket'], serveClient: false });

io.on('connection', (socket) => {
  let room;
  socket.on('join', (name) => {
    room = name;
    socket.join(name);
    socket.emit('joined');
  });
  socket.on('m', (payload) => {
    if (room === undefined) socket.emit('m', payload);
    else io.to(room).emit('m', payload);
  });
});
server.listen(port, '127.0.0.1', BACKLOG);
